"""How the bench speaks with a peer: a real process that answers lines."""

import os
import sys

import pytest

from bench import peers
from bench.peers import Peer, PeerError

ANSWERING = """
import json, os, sys, time
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    command = json.loads(line)
    if command["do"] == "end":
        sys.exit("the lights went out")
    if command["do"] == "sleep":
        time.sleep(60)
    if command["do"] == "fail":
        print(json.dumps({"error": "no such thing"}), flush=True)
    else:
        print(json.dumps({"pid": os.getpid(), **command}), flush=True)
"""


def peer_of(code: str) -> Peer:
    return Peer([sys.executable, "-c", code])


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_answers_one_command_after_another_and_ends():
    with peer_of(ANSWERING) as peer:
        first = peer.ask(do="train", seconds=2.5)
        again = peer.ask(do="train", workers=None)
        assert first == {"pid": first["pid"], "do": "train", "seconds": 2.5}
        assert again == {"pid": first["pid"], "do": "train", "workers": None}
        assert is_there(first["pid"])
    assert not is_there(first["pid"])


def test_its_errors_are_raised_and_it_goes_on():
    with peer_of(ANSWERING) as peer:
        with pytest.raises(PeerError, match="says: no such thing"):
            peer.ask(do="fail")
        assert peer.ask(do="train")["do"] == "train"


def test_a_peer_that_ends_is_told_with_its_last_words():
    with peer_of(ANSWERING) as peer:
        with pytest.raises(PeerError, match=r"has ended\nthe lights went out"):
            peer.ask(do="end")
        with pytest.raises(PeerError, match=r"has ended\nthe lights went out"):
            peer.ask(do="train")


def test_a_peer_that_does_not_start_is_told():
    with pytest.raises(PeerError, match="there is no data"), peer_of("exit('there is no data')"):
        pass


def test_a_peer_that_does_not_answer_is_killed(monkeypatch):
    monkeypatch.setattr(peers, "END_S", 0.1)
    with peer_of(ANSWERING) as peer:
        pid = peer.ask(do="train")["pid"]
        with pytest.raises(PeerError, match=r"did not answer within 0\.1 s"):
            peer.ask(0.1, do="sleep")
    assert not is_there(pid)


def test_peers_that_are_not_installed_name_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(peers, "PYTHON", tmp_path / "python")
    monkeypatch.setattr(peers, "TFJS", tmp_path / "package.json")
    for start in (peers.torch_training, peers.tfjs_training):
        with pytest.raises(RuntimeError, match="make bench-peers"):
            start(tmp_path)


def test_a_peer_outside_of_with_is_refused():
    with pytest.raises(PeerError, match="use it in a with statement"):
        peer_of(ANSWERING).ask(do="train")
