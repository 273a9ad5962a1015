"""Makes `.venv` beside this file and installs flashweb into it. Run by `make` and `api_server.py`, with any Python 3.

    python3 bootstrap.py [--dev]

Does nothing when the environment is newer than the files it was made from. Without an NVIDIA GPU the constraints ask
for the PyTorch version whose CPU build pip may find (TORCH_INDEX names an index that has CPU builds); with one, pip
takes what it finds first, the CUDA build. Needs nothing but the standard library, and no newer syntax than Python 3.6,
so that an old `python3` can still look for a newer one.
"""

import fcntl
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
MADE_FROM = ("pyproject.toml", "constraints.txt", "constraints-cpu.txt")
LEAST = (3, 11)
NEWER = ("python3.13", "python3.12", "python3.11")


def main(arguments):
    """Exits with 4 when the environment cannot be made."""
    try:
        install_all("--dev" in arguments)
    except subprocess.CalledProcessError as error:
        say("could not set up .venv (exit status %d of %s); see above" % (error.returncode, error.cmd[0]))
        sys.exit(4)


def install_all(dev):
    with open(os.path.abspath(__file__)) as lock:  # two starts at once: the second waits, then finds it done
        fcntl.flock(lock, fcntl.LOCK_EX)
        install("installed", ".[video]", "flashweb")
        if dev:
            install("installed-dev", ".[dev,gunicorn]", "what tests and benchmarks need")


def install(stamp_name, requirement, what):
    stamp = os.path.join(VENV, stamp_name)
    if not outdated(stamp):
        return
    if not pip_works():
        make_environment()
    constraints = "constraints.txt" if shutil.which("nvidia-smi") else "constraints-cpu.txt"
    say("installing %s into .venv (%s); the first time takes a minute or two ..." % (what, constraints))
    command = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", constraints]
    if os.environ.get("TORCH_INDEX"):
        command += ["--extra-index-url", os.environ["TORCH_INDEX"]]
    subprocess.check_call(command + ["-e", requirement], cwd=ROOT, stdout=sys.stderr)
    with open(stamp, "w"):
        os.utime(stamp)


def pip_works():
    """False also for what an interrupted or refused `python -m venv` leaves behind: a Python without pip."""
    command = [PYTHON, "-m", "pip", "--version"]
    try:
        return not subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        return False


def make_environment():
    python = suitable_python()
    if os.path.exists(VENV):
        say("making .venv anew: pip does not work in the one that is there")
    failed = subprocess.call([python, "-m", "venv", "--clear", VENV], stdout=sys.stderr)
    if failed or not pip_works():
        say(
            "%s could not make .venv with a pip in it; see above. On Debian and Ubuntu install python3-venv "
            "(sudo apt install python3-venv), then start this again" % python
        )
        sys.exit(4)


def outdated(stamp):
    if not os.path.exists(stamp):
        return True
    return any(os.path.getmtime(os.path.join(ROOT, name)) > os.path.getmtime(stamp) for name in MADE_FROM)


def suitable_python():
    if sys.version_info >= LEAST:
        return sys.executable
    for name in NEWER:
        if shutil.which(name):
            return shutil.which(name)
    raise SystemExit(
        "flashweb needs Python %d.%d or newer and found only %s; install one, or run this with it"
        % (LEAST + (sys.version.split()[0],))
    )


def say(text):
    sys.stderr.write("flashweb: %s\n" % text)
    sys.stderr.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
