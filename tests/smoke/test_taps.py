# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Ports on net_tap in namespaces: where they appear, what survives, what is counted."""

import errno
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.fastpath import EXECUTABLE, Fastpath, descriptors, refused, wait_for
from tests.support.netns import Netns
from tests.support.wire import Wire, WireError, ffi, wire

pytestmark = pytest.mark.root

START = Callable[..., Fastpath]
NETNS = Callable[[str], Netns]


def tap(where: Netns, interface: str = "eth0", **options: object) -> dict[str, object]:
    """A port that is an interface of a namespace."""
    return {"backend": "net_tap", "netns": where.name, "args": f"iface={interface}", **options}


def mac(where: Netns, interface: str = "eth0") -> str:
    found = re.search(r"link/ether (\S+)", where.ip("link", "show", interface))
    assert found is not None
    return found[1]


def port_state(running: Fastpath, name: str) -> int:
    with running.wire() as client:
        return next(int(info.state) for info in client.ports() if ffi.string(info.name).decode() == name)


def port_add(client: Wire, name: str, **fields: object) -> int:
    """Add a port at run time; its index."""
    given = {key: value.encode() if isinstance(value, str) else value for key, value in fields.items()}
    request = ffi.new("struct steer_port_add *", {"name": name.encode(), **given})
    body, _ = client.request(wire.STEER_OP_PORT_ADD, bytes(ffi.buffer(request)))
    info = ffi.new("struct steer_port_info *")
    ffi.memmove(info, body, ffi.sizeof("struct steer_port_info"))
    return int(info.index)


def port_remove(client: Wire, index: int) -> None:
    client.request(
        wire.STEER_OP_PORT_REMOVE, bytes(ffi.buffer(ffi.new("struct steer_port_ref *", {"port": index})))
    )


def test_same_interface_name_in_two_namespaces(fastpath: START, netns: NETNS) -> None:
    web, db = netns("web"), netns("db")
    running = fastpath({"pf0vf0": tap(web), "pf0vf1": tap(db, mac="02:00:00:00:00:42")})
    assert (web.links(), db.links()) == (["eth0"], ["eth0"])
    assert mac(db) == "02:00:00:00:00:42"
    running.stop()
    assert (web.links(), db.links()) == ([], [])


def test_names_may_be_as_long_as_they_are_documented(fastpath: START, netns: NETNS) -> None:
    web, longest = netns("web"), "an-interface-15"  # Linux takes no more
    fastpath({longest: {"backend": "net_tap", "netns": web.name}, "p" * 63: tap(web)})
    assert sorted(web.links()) == sorted([longest, "eth0"])


def test_mac_is_the_same_after_every_start(fastpath: START, netns: NETNS) -> None:
    web = netns("web")
    seen = set()
    for _ in range(2):
        running = fastpath({"pf0vf0": tap(web)})
        seen.add(mac(web))
        running.stop()
    assert len(seen) == 1


def test_without_pipeline_packets_are_dropped_with_a_reason(fastpath: START, netns: NETNS) -> None:
    web, db = netns("web"), netns("db")
    running = fastpath({"pf0vf0": tap(web), "pf0vf1": tap(db)})
    web.address("eth0", "10.0.0.1/24")
    db.address("eth0", "10.0.0.2/24")
    assert web.run("ping", "-c", "2", "-i", "0.2", "-W", "1", "10.0.0.2").returncode == 1
    wait_for("ARP requests", lambda: running.counters()["pf0vf0"]["received"] >= 2)
    counters = running.counters()["pf0vf0"]
    assert counters["drops.no_pipeline"] == counters["received"]
    assert running.counters()["pf0vf1"]["sent"] == 0


def test_persistent_tap_survives_a_crash_with_its_address(
    fastpath: START, netns: NETNS, tmp_path: Path
) -> None:
    web = netns("web")
    ports = {"pf0vf0": tap(web, persist="yes")}
    first = fastpath(ports, directory=tmp_path)
    web.address("eth0", "10.0.0.1/24", "fd00::1/64")
    many = [f"10.0.0.{i}" for i in range(100, 200)]
    for address in ("10.0.0.9", "fd00::9", *many):
        web.ip("neigh", "add", address, "lladdr", "02:00:00:00:00:09", "dev", "eth0")

    def neighbours() -> list[str]:
        return sorted(web.ip("neigh", "show", "nud", "permanent").splitlines())

    before, known = mac(web), neighbours()
    first.kill()
    assert "10.0.0.1/24" in web.ip("address", "show", "eth0")
    second = fastpath(ports, directory=tmp_path)
    assert "10.0.0.1/24" in web.ip("address", "show", "eth0")
    assert neighbours() == known
    assert len(known) == 2 + len(many)
    assert mac(web) == before
    wait_for("the port to be up", lambda: port_state(second, "pf0vf0") == wire.STEER_PORT_UP)
    web.run("ping", "-c", "1", "-W", "1", "10.0.0.9")
    wait_for("packets again", lambda: second.counters()["pf0vf0"]["received"] > 0)


def test_tap_is_gone_after_a_crash(fastpath: START, netns: NETNS) -> None:
    web = netns("web")
    running = fastpath({"pf0vf0": tap(web)})
    running.kill()
    wait_for("the tap to go", lambda: web.links() == [])


def test_deleted_namespace_takes_the_port_down_and_no_other(fastpath: START, netns: NETNS) -> None:
    web, db = netns("web"), netns("db")
    running = fastpath({"pf0vf0": tap(web), "pf0vf1": tap(db)})
    wait_for("the port to be up", lambda: port_state(running, "pf0vf0") == wire.STEER_PORT_UP)
    web.close()
    wait_for("the port to be down", lambda: port_state(running, "pf0vf0") == wire.STEER_PORT_DOWN)
    assert port_state(running, "pf0vf1") == wire.STEER_PORT_UP


@pytest.mark.parametrize("options", [{"one_core": "yes"}, {"workers": 3}, {"idle": "spin"}])
def test_taps_with_other_threads(fastpath: START, netns: NETNS, options: dict[str, object]) -> None:
    web = netns("web")
    running = fastpath({"pf0vf0": tap(web)}, options)
    web.address("eth0", "10.0.0.1/24")
    web.ip("neigh", "add", "10.0.0.9", "lladdr", "02:00:00:00:00:09", "dev", "eth0")
    before = running.counters()["pf0vf0"]["received"]
    web.run("ping", "-c", "40", "-i", "0.002", "-W", "1", "10.0.0.9")
    wait_for("the pings", lambda: running.counters()["pf0vf0"]["received"] >= before + 40)


def test_namespace_that_returns_takes_its_port_up_again(fastpath: START, netns: NETNS) -> None:
    web = netns("web")
    running = fastpath({"pf0vf0": tap(web)})
    wait_for("the port to be up", lambda: port_state(running, "pf0vf0") == wire.STEER_PORT_UP)
    web.ip("link", "del", "eth0")
    wait_for("the interface to return", lambda: web.links() == ["eth0"])
    wait_for("the port to be up", lambda: port_state(running, "pf0vf0") == wire.STEER_PORT_UP)
    before = running.counters()["pf0vf0"]["received"]
    web.address("eth0", "10.0.0.1/24")
    web.run("ping", "-c", "1", "-W", "1", "10.0.0.9")
    wait_for("packets again", lambda: running.counters()["pf0vf0"]["received"] > before)


def test_renamed_and_moved_interface_keeps_working(fastpath: START, netns: NETNS) -> None:
    web, db = netns("web"), netns("db")
    running = fastpath({"pf0vf0": tap(web)})
    wait_for("the port to be up", lambda: port_state(running, "pf0vf0") == wire.STEER_PORT_UP)
    web.ip("link", "set", "eth0", "name", "x0")
    web.ip("link", "set", "x0", "netns", db.name)
    wait_for("the port to be down", lambda: port_state(running, "pf0vf0") == wire.STEER_PORT_DOWN)
    db.address("x0", "10.0.0.1/24")
    db.ip("link", "set", "x0", "up")
    wait_for("the port to be up", lambda: port_state(running, "pf0vf0") == wire.STEER_PORT_UP)
    before = running.counters()["pf0vf0"]["received"]
    db.run("ping", "-c", "1", "-W", "1", "10.0.0.9")
    wait_for("packets again", lambda: running.counters()["pf0vf0"]["received"] > before)


def test_ports_come_and_go_at_run_time(fastpath: START, netns: NETNS) -> None:
    web = netns("web")
    running = fastpath({"p0": {"backend": "net_ring"}})
    with running.wire(owner=True) as client:

        def turn() -> None:
            index = port_add(client, "pf0vf0", backend="net_tap", args="iface=eth0", netns=web.name)
            assert web.links() == ["eth0"]
            port_remove(client, index)
            wait_for("the tap to go", lambda: web.links() == [])
            wait_for("the port to go", lambda: running.port_names() == ["p0"])

        turn()
        before = descriptors(running.pid)
        for _ in range(10):
            turn()
        wait_for("descriptors to be closed", lambda: descriptors(running.pid) <= before)


def test_port_that_cannot_be_added_leaves_nothing(fastpath: START, netns: NETNS) -> None:
    web = netns("web")
    running = fastpath({"p0": {"backend": "net_ring"}})
    with running.wire(owner=True) as client:
        for fields, code in (
            ({"backend": "net_tap", "args": "iface=eth0", "netns": "nosuchnetns"}, errno.ENOENT),
            (
                {"backend": "net_tap", "args": "iface=a-name-that-is-too-long", "netns": web.name},
                errno.EINVAL,
            ),
            ({"backend": "net_magic"}, errno.ENOTSUP),
            ({"backend": "net_ring", "mac": "none"}, errno.EINVAL),
        ):
            with pytest.raises(WireError) as refusal:
                port_add(client, "pf0vf0", **fields)
            assert refusal.value.errno == code, str(refusal.value)
            assert "pf0vf0" in str(refusal.value)
        with pytest.raises(WireError) as refusal:
            port_add(client, "p0", backend="net_ring")
        assert refusal.value.errno == errno.EEXIST
    assert running.port_names() == ["p0"]
    assert web.links() == []


def test_missing_namespace_is_told(tmp_path: Path) -> None:
    config = "[port p0]\nbackend = net_tap\nnetns = nosuchnetns\n"
    assert "no network namespace nosuchnetns" in refused(tmp_path, config)


def test_missing_permission_is_told(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    private = tmp_path / "run"
    private.mkdir()
    os.chown(private, 65534, 65534)
    copy = Path(shutil.copy(EXECUTABLE, tmp_path))  # the tree may lie where others cannot look
    sentence = refused(
        private, "[port p0]\nbackend = net_tap\n", executable=copy, user=65534, group=65534, extra_groups=[]
    )
    assert "p0" in sentence
    assert "permi" in sentence.lower() or "root" in sentence
