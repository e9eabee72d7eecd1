"""Whose a training's folder is: one training's at a time, and nothing in it is written over."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from vae_keras.training import lock, output

pytestmark = pytest.mark.any_backend

HOLD = """
import sys, time
from pathlib import Path
from vae_keras.training.lock import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(600)
"""


def test_a_folder_is_locked_until_its_holder_is_killed(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "locked\n"
        message = f"process {holder.pid} on .*, since 20.*Wait for its end, or pass a folder"
        with pytest.raises(BlockingIOError, match=message), output.lent(tmp_path, resume=False):
            pass
        assert (tmp_path / lock.NAME).exists()
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    with output.lent(tmp_path, resume=False):
        assert f"process {os.getpid()} " in (tmp_path / lock.NAME).read_text()
    assert os.listdir(tmp_path) == []


def test_of_many_at_once_one_holds_the_lock(tmp_path):
    held, most, turns = 0, 0, 0

    def work():
        nonlocal held, most, turns
        for _ in range(200):
            try:
                with lock.locked(tmp_path):
                    held += 1
                    most, turns = max(most, held), turns + 1
                    time.sleep(0.001)  # long enough for another to come in
                    held -= 1
            except BlockingIOError:
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (held, most) == (0, 1)
    assert turns > 1


def test_a_file_that_another_has_removed_is_no_lock(tmp_path, monkeypatch):
    lock_descriptor, removed = lock._lock_descriptor, []

    def lock_late(descriptor):
        if not removed:  # the process before ends between our opening and our locking
            removed.append((tmp_path / lock.NAME).unlink())
        lock_descriptor(descriptor)

    monkeypatch.setattr(lock, "_lock_descriptor", lock_late)
    with (
        lock.locked(tmp_path),
        pytest.raises(BlockingIOError, match="already"),
        lock.locked(tmp_path),
    ):
        pass


def test_where_nothing_is_locked_that_is_said(tmp_path, monkeypatch, capsys):
    def refuse(descriptor):
        raise OSError(lock.NO_LOCKS[0], "No locks available")

    monkeypatch.setattr(lock, "_lock_descriptor", refuse)
    with lock.locked(tmp_path):
        pass
    assert f"Nothing keeps other trainings out of {tmp_path}" in capsys.readouterr().out


@pytest.mark.parametrize("name", output.PRODUCTS)
def test_what_a_training_left_is_not_written_over(tmp_path, name):
    path = tmp_path / name / "sheet.png" if name in output.FOLDERS else tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("of a training")
    message = "--resume goes on" if name == output.LAST else f"holds {name} of a training that"
    with pytest.raises(FileExistsError, match=message), output.lent(tmp_path, resume=False):
        pass
    assert path.read_text() == "of a training"


def test_a_folder_of_other_files_is_free(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "sheets").mkdir()
    with output.lent(tmp_path, resume=False):
        pass
    assert set(os.listdir(tmp_path)) == {"notes.txt", "sheets"}


def test_without_its_last_model_a_training_cannot_go_on(tmp_path):
    (tmp_path / output.BEST).write_text("")
    message = f"no last.keras in {tmp_path}. Of a training only best.keras is left; another --outp"
    with pytest.raises(FileNotFoundError, match=message), output.lent(tmp_path, resume=True):
        pass
    missing = tmp_path / "missing"
    with pytest.raises(FileNotFoundError, match="begins"), output.lent(missing, resume=True):
        pass
    assert not missing.exists()


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("name", ["", *output.PRODUCTS])
def test_what_is_in_the_way_is_named(tmp_path, name, resume):
    folder = tmp_path / "run"
    path = folder / name
    if name in ("", *output.FOLDERS):
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
        message = f"{path} is a file, and a training writes a folder of that name. Move it away"
    else:
        path.mkdir(parents=True)
        message = f"{path} is a folder, and a training writes a file of that name. Move it away"
    with pytest.raises(FileExistsError, match=message), output.lent(folder, resume=resume):
        pass
