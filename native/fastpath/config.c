// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Options are rows of two tables, one for the fast path and one for a port. The command line takes the general ones as
// --key value, with '-' for '_'.

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "version.h"

enum { FILE_MAX = 1 << 20 };

enum option_kind { OPTION_TEXT, OPTION_NUMBER, OPTION_SWITCH, OPTION_IDLE, OPTION_HUGE };

struct option_row {
	const char *key;
	enum option_kind kind;
	size_t offset;
	size_t bytes; // TEXT: room
	unsigned int least, most;
	const char *help;
};

#define TEXT(type, name, member, text)                                                             \
	{                                                                                          \
		name, OPTION_TEXT, offsetof(type, member), sizeof(((type *)0)->member), 0, 0, text \
	}
#define NUMBER(type, name, member, from, to, text)                             \
	{                                                                      \
		name, OPTION_NUMBER, offsetof(type, member), 0, from, to, text \
	}
#define SWITCH(type, name, member, text)                                   \
	{                                                                  \
		name, OPTION_SWITCH, offsetof(type, member), 0, 0, 0, text \
	}

static const struct option_row general_options[] = {
	TEXT(struct config, "lcores", lcores, "EAL's --lcores, the first is the control lcore: 0@0,1@1"),
	NUMBER(struct config, "workers", workers, 1, STEER_WORKER_MAX, "worker threads on floating affinity"),
	SWITCH(struct config, "one_core", one_core, "worker and control in one thread"),
	{"idle", OPTION_IDLE, offsetof(struct config, idle), 0, 0, 0,
		"workers without packets: adaptive or spin"},
	{"huge", OPTION_HUGE, offsetof(struct config, huge), 0, 0, 0, "hugepages: auto, no or yes"},
	NUMBER(struct config, "memory_mb", memory_mb, 16, 1 << 20, "memory of DPDK in MiB"),
	NUMBER(struct config, "mbufs", mbufs, 1024, 1 << 24, "packet buffers"),
	NUMBER(struct config, "mbuf_bytes", mbuf_bytes, 1024, 16384, "packet bytes in one buffer"),
	NUMBER(struct config, "counters", counters, 1024, 1 << 26, "counter slots in the stats segment"),
	NUMBER(struct config, "cache", cache, 0, 32768,
		"recorded walks of each worker's flow cache, 0: none"),
	NUMBER(struct config, "max_clients", max_clients, 1, 1024, "clients at once"),
	SWITCH(struct config, "verbose", verbose, "show DPDK's notices"),
};

static const struct option_row port_options[] = {
	TEXT(struct config_port, "backend", add.backend, ""),
	TEXT(struct config_port, "args", add.args, ""),
	TEXT(struct config_port, "netns", add.netns, ""),
	TEXT(struct config_port, "mac", add.mac, ""),
	TEXT(struct config_port, "pci", add.pci, ""),
	TEXT(struct config_port, "ibdev", add.ibdev, ""),
	TEXT(struct config_port, "representor", add.representor, ""),
	NUMBER(struct config_port, "mtu", add.mtu, 68, 9600, ""),
	SWITCH(struct config_port, "persist", persist, ""),
};

enum { GENERAL_ROWS = sizeof(general_options) / sizeof(*general_options) };
enum { PORT_ROWS = sizeof(port_options) / sizeof(*port_options) };

int config_refuse(char why[CONFIG_WHY_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, CONFIG_WHY_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

void config_init(struct config *config)
{
	memset(config, 0, sizeof(*config));
	config->mbufs = 16384;
	config->mbuf_bytes = 2048;
	config->counters = 1 << 18;
	config->cache = 8192;
	config->max_clients = 64;
}

bool config_name_good(const char *name)
{
	size_t length = strnlen(name, STEER_NAME_MAX);

	if (!length || length >= STEER_NAME_MAX)
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("-_.:", name[i]))
			return false;
	return name[0] != '.' && name[0] != '-';
}

bool config_parse_mac(const char *text, uint8_t mac[6])
{
	unsigned int byte[6];
	int used = 0;

	if (strlen(text) != 17 || strspn(text, "0123456789abcdefABCDEF:") != 17 ||
		sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &byte[0], &byte[1], &byte[2], &byte[3], &byte[4],
			&byte[5], &used) != 6 ||
		used != 17)
		return false;
	for (unsigned int i = 0; i < 6; i++)
		mac[i] = (uint8_t)byte[i];
	return true;
}

static const struct option_row *find_row(const struct option_row *rows, unsigned int count, const char *key)
{
	for (unsigned int i = 0; i < count; i++)
		if (!strcmp(rows[i].key, key))
			return &rows[i];
	return NULL;
}

// Index of value in a list of words, or -1.
static int find_word(const char *const *words, const char *value)
{
	for (int i = 0; words[i]; i++)
		if (!strcmp(words[i], value))
			return i;
	return -1;
}

static int set_number(
	const struct option_row *row, unsigned int *to, const char *value, char why[CONFIG_WHY_MAX])
{
	char *end;

	errno = 0;
	unsigned long number = strtoul(value, &end, 0);

	if (!isdigit((unsigned char)value[0]) || *end || errno || number < row->least || number > row->most)
		return config_refuse(why, "%s must be a number from %u to %u, not \"%.64s\"", row->key,
			row->least, row->most, value);
	*to = (unsigned int)number;
	return 0;
}

static int set_row(const struct option_row *row, void *object, const char *value, char why[CONFIG_WHY_MAX])
{
	static const char *const switches[] = {"no", "yes", "false", "true", "off", "on", "0", "1", NULL};
	static const char *const idles[] = {"adaptive", "spin", NULL};
	static const char *const huges[] = {"auto", "no", "yes", NULL};
	void *to = (char *)object + row->offset;
	int word;

	switch (row->kind) {
	case OPTION_TEXT:
		if (strlen(value) >= row->bytes)
			return config_refuse(
				why, "%s must be shorter than %zu characters", row->key, row->bytes);
		memset(to, 0, row->bytes);
		memcpy(to, value, strlen(value));
		return 0;
	case OPTION_NUMBER:
		return set_number(row, to, value, why);
	case OPTION_SWITCH:
		word = find_word(switches, value);
		if (word < 0)
			return config_refuse(why, "%s must be yes or no, not \"%.64s\"", row->key, value);
		*(bool *)to = word & 1;
		return 0;
	case OPTION_IDLE:
		word = find_word(idles, value);
		if (word < 0)
			return config_refuse(why, "idle must be adaptive or spin, not \"%.64s\"", value);
		*(enum config_idle *)to = (enum config_idle)word;
		return 0;
	case OPTION_HUGE:
		word = find_word(huges, value);
		if (word < 0)
			return config_refuse(why, "huge must be auto, no or yes, not \"%.64s\"", value);
		*(enum config_huge *)to = (enum config_huge)word;
		return 0;
	}
	return -EINVAL;
}

int config_set(struct config *config, const char *key, const char *value, char why[CONFIG_WHY_MAX])
{
	const struct option_row *row = find_row(general_options, GENERAL_ROWS, key);

	if (!row)
		return config_refuse(why, "there is no option \"%.64s\"", key);
	return set_row(row, config, value, why);
}

// -- the file ---------------------------------------------------------------------------------------------------

// Cuts white space off both ends, in place.
static char *trim(char *text)
{
	char *end = text + strlen(text);

	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

static int open_section(
	struct config *config, char *line, struct config_port **port, char why[CONFIG_WHY_MAX])
{
	size_t length = strlen(line);
	char *name;

	if (line[length - 1] != ']' || strncmp(line, "[port", 5) || !isspace((unsigned char)line[5]))
		return config_refuse(why, "a section is written [port NAME], not \"%.64s\"", line);
	line[length - 1] = '\0';
	name = trim(line + 5);
	if (!config_name_good(name))
		return config_refuse(why,
			"\"%.80s\" cannot be the name of a port: up to 63 letters, digits, '-', '_', '.', "
			"':'",
			name);
	for (unsigned int i = 0; i < config->nr_ports; i++)
		if (!strcmp(config->ports[i].add.name, name))
			return config_refuse(
				why, "port %s is there already, in line %u", name, config->ports[i].line);
	if (config->nr_ports == STEER_PORT_MAX)
		return config_refuse(why, "there are more than %u ports", (unsigned int)STEER_PORT_MAX);
	*port = &config->ports[config->nr_ports++];
	memset(*port, 0, sizeof(**port));
	memcpy((*port)->add.name, name, strlen(name));
	return 0;
}

static int set_port_option(
	struct config_port *port, const char *key, const char *value, char why[CONFIG_WHY_MAX])
{
	const struct option_row *row = find_row(port_options, PORT_ROWS, key);
	uint8_t mac[6];

	if (!row)
		return config_refuse(why, "port %s: there is no port option \"%.64s\"", port->add.name, key);
	if (!strcmp(key, "mac") && !config_parse_mac(value, mac))
		return config_refuse(why, "port %s: mac must be written aa:bb:cc:dd:ee:ff, not \"%.64s\"",
			port->add.name, value);
	return set_row(row, port, value, why);
}

static int parse_line(struct config *config, struct config_port **port, char *line, char why[CONFIG_WHY_MAX])
{
	char *value, *key;

	line = trim(line);
	if (!*line || *line == '#' || *line == ';')
		return 0;
	if (*line == '[')
		return open_section(config, line, port, why);
	value = strchr(line, '=');
	if (!value)
		return config_refuse(why, "\"%.64s\" is neither key = value nor [port NAME]", line);
	*value = '\0';
	key = trim(line);
	value = trim(value + 1);
	return *port ? set_port_option(*port, key, value, why) : config_set(config, key, value, why);
}

int config_parse_text(
	struct config *config, const char *name, const char *text, size_t length, char why[CONFIG_WHY_MAX])
{
	struct config_port *port = NULL;
	char detail[CONFIG_WHY_MAX], line[1024];
	unsigned int number = 0;
	const char *end = text + length;

	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t bytes = (size_t)((stop ? stop : end) - text);
		int status = 0;

		number++;
		if (bytes >= sizeof(line))
			status = config_refuse(
				detail, "the line is longer than %zu characters", sizeof(line) - 1);
		else if (memchr(text, '\0', bytes))
			status = config_refuse(detail, "the line holds a NUL character");
		if (!status) {
			memcpy(line, text, bytes);
			line[bytes] = '\0';
			struct config_port *before = port;

			status = parse_line(config, &port, line, detail);
			if (port != before)
				port->line = number;
		}
		if (status)
			return config_refuse(why, "%.128s:%u: %.350s", name, number, detail);
		text += bytes + 1;
	}
	for (unsigned int i = 0; i < config->nr_ports; i++)
		if (!config->ports[i].add.backend[0])
			return config_refuse(
				why, "%.128s: port %s has no backend", name, config->ports[i].add.name);
	return 0;
}

static int parse_file(struct config *config, char why[CONFIG_WHY_MAX])
{
	int fd = open(config->file, O_RDONLY | O_CLOEXEC), status;
	struct stat stat;
	char *text;
	ssize_t got;

	if (fd < 0) {
		status = -errno;
		config_refuse(why, "cannot read the config file %.256s: %s", config->file, strerror(-status));
		return status;
	}
	if (fstat(fd, &stat) || !S_ISREG(stat.st_mode) || stat.st_size > FILE_MAX) {
		close(fd);
		return config_refuse(why, "the config file %.256s is no file of at most %u bytes",
			config->file, (unsigned int)FILE_MAX);
	}
	text = malloc((size_t)stat.st_size + 1);
	got = text ? read(fd, text, (size_t)stat.st_size) : -1;
	close(fd);
	status = got < 0 ? config_refuse(why, "cannot read the config file %.256s", config->file)
			 : config_parse_text(config, config->file, text, (size_t)got, why);
	free(text);
	return status;
}

// -- the command line -------------------------------------------------------------------------------------------

static void usage(void)
{
	puts("usage: fastpath --runtime-dir DIR [--config FILE] [OPTION ...]\n"
	     "  --runtime-dir DIR     where the steering socket is made (DIR/steering.sock)\n"
	     "  --config FILE         options and ports, see docs/fastpath-config.md\n"
	     "  --no-huge             the same as --huge no\n"
	     "  --version             print the version and end\n"
	     "options, also as \"key = value\" in FILE:");
	for (unsigned int i = 0; i < GENERAL_ROWS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "%s", general_options[i].key);
		for (char *c = name; *c; c++)
			*c = *c == '_' ? '-' : *c;
		printf("  --%-20s%s\n", name, general_options[i].help);
	}
}

// One option of the command line; *used: how many words it took.
static int parse_option(struct config *config, char **words, int count, int *used, char why[CONFIG_WHY_MAX])
{
	char key[64], *c;
	const char *value;

	*used = 1;
	if (strncmp(words[0], "--", 2))
		return config_refuse(why, "\"%.64s\" is no option; --help shows them", words[0]);
	snprintf(key, sizeof(key), "%s", words[0] + 2);
	c = strchr(key, '=');
	value = c ? strchr(words[0], '=') + 1 : NULL;
	if (c)
		*c = '\0';
	for (c = key; *c; c++)
		*c = *c == '-' ? '_' : *c;
	if (!strcmp(key, "no_huge"))
		return config_set(config, "huge", "no", why);

	const struct option_row *row = find_row(general_options, GENERAL_ROWS, key);

	if (!row)
		return config_refuse(why, "there is no option %.64s; --help shows them", words[0]);
	if (!value && row->kind == OPTION_SWITCH)
		value = "yes";
	if (!value && count < 2)
		return config_refuse(why, "option %.64s needs a value", words[0]);
	if (!value) {
		value = words[1];
		*used = 2;
	}
	return set_row(row, config, value, why);
}

// The two places that must be known before all else. Gives the words used, 0 when it is another option.
static int parse_place(struct config *config, char **words, int count, int *status, char why[CONFIG_WHY_MAX])
{
	static const char *const places[] = {"--runtime-dir", "--config", NULL};

	for (int i = 0; places[i]; i++) {
		size_t length = strlen(places[i]),
		       room = i ? sizeof(config->file) : sizeof(config->runtime_dir);
		char *to = i ? config->file : config->runtime_dir;
		const char *value = NULL;

		if (strncmp(words[0], places[i], length) || (words[0][length] && words[0][length] != '='))
			continue;
		if (words[0][length])
			value = words[0] + length + 1;
		else if (count > 1)
			value = words[1];
		if (!value || !*value)
			*status = config_refuse(why, "option %s needs a value", places[i]);
		else if (strlen(value) >= room)
			*status =
				config_refuse(why, "%s must be shorter than %zu characters", places[i], room);
		else
			snprintf(to, room, "%s", value);
		return words[0][length] || count < 2 ? 1 : 2;
	}
	return 0;
}

int config_parse_arguments(struct config *config, int argc, char **argv, char why[CONFIG_WHY_MAX])
{
	int status = 0, used;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--version")) {
			puts(fastpath_version());
			return 1;
		}
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			usage();
			return 1;
		}
	}
	for (int i = 1; i < argc && !status; i += used ? used : 1)
		used = parse_place(config, argv + i, argc - i, &status, why);
	if (!status && config->file[0])
		status = parse_file(config, why);
	for (int i = 1; i < argc && !status; i += used) {
		used = parse_place(config, argv + i, argc - i, &status, why);
		if (!used)
			status = parse_option(config, argv + i, argc - i, &used, why);
	}
	if (!status && !config->runtime_dir[0])
		status = config_refuse(why, "option --runtime-dir is needed; --help shows all");
	if (!status && config->one_core && config->workers > 1)
		status = config_refuse(why, "one_core and %u workers contradict each other", config->workers);
	return status;
}
