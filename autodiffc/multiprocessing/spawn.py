"""spawn(): a function in several processes, with the first failure raised in the one that waits."""

import multiprocessing
import multiprocessing.connection
import pickle
import signal
import sys
import tempfile
import traceback


class ProcessException(Exception):
    """A child process failed."""

    def __init__(self, msg, error_index, pid):
        super().__init__(msg)
        self.msg, self.error_index, self.error_pid = msg, error_index, pid

    @property
    def pid(self):
        return self.error_pid

    def __reduce__(self):
        return type(self), (self.msg, self.error_index, self.pid)


class ProcessRaisedException(ProcessException):
    """A child process ended with an exception, whose traceback the message has."""


class ProcessExitedException(ProcessException):
    """A child process ended by a signal, or with an exit code."""

    def __init__(self, msg, error_index, error_pid, exit_code, signal_name=None):
        super().__init__(msg, error_index, error_pid)
        self.exit_code, self.signal_name = exit_code, signal_name

    def __reduce__(self):
        return type(self), (self.msg, self.error_index, self.error_pid, self.exit_code, self.signal_name)


def _wrap(fn, i, args, error_file):
    try:
        fn(i, *args)
    except KeyboardInterrupt:
        pass  # the parent was interrupted too
    except Exception:
        with open(error_file, "wb") as f:
            pickle.dump(traceback.format_exc(), f)
        sys.exit(1)


class ProcessContext:
    """The processes that start_processes() started."""

    def __init__(self, processes, error_files, folder):
        self.processes, self.error_files, self.folder = processes, error_files, folder
        self.sentinels = {p.sentinel: k for k, p in enumerate(processes)}

    def pids(self):
        return [int(p.pid) for p in self.processes]

    def join(self, timeout=None, grace_period=None) -> bool:
        """Waits for one process or more to end. Whether all have; the first failure is raised, after the others have
        been ended."""
        if not self.sentinels:
            return True
        ready = multiprocessing.connection.wait(list(self.sentinels), timeout=timeout)
        failed = None
        for sentinel in ready:
            k = self.sentinels.pop(sentinel)
            self.processes[k].join()
            if self.processes[k].exitcode != 0:
                failed = k
                break
        if failed is None:
            return not self.sentinels
        for p in self.processes:
            if p.is_alive():
                p.terminate()
        for p in self.processes:
            p.join(timeout=grace_period if grace_period is not None else 30)
            if p.is_alive():
                p.kill()
                p.join()
        self._raise(failed)
        return False

    def _raise(self, k):
        p = self.processes[k]
        with open(self.error_files[k], "rb") as f:
            content = f.read()
        if content:
            raise ProcessRaisedException(f"\n\n-- Process {k} terminated with the following error:\n"
                                         f"{pickle.loads(content)}", k, p.pid)
        if p.exitcode < 0:
            name = _signal_name(-p.exitcode)
            raise ProcessExitedException(f"process {k} terminated with signal {name}", k, p.pid, p.exitcode, name)
        raise ProcessExitedException(f"process {k} terminated with exit code {p.exitcode}", k, p.pid, p.exitcode)


SpawnContext = ProcessContext


def _signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"<Unknown signal {number}>"


def start_processes(fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn", numa_options=None):
    """fn(i, *args) in nprocs processes; waits for them when join, else returns their ProcessContext."""
    made = multiprocessing.get_context(start_method)
    folder = tempfile.TemporaryDirectory(prefix="autodiffc-")
    processes, files = [], []
    for i in range(nprocs):
        files.append(f"{folder.name}/{i}")
        open(files[-1], "wb").close()
        p = made.Process(target=_wrap, args=(fn, i, args, files[-1]), daemon=daemon)
        p.start()
        processes.append(p)
    context = ProcessContext(processes, files, folder)
    while join and not context.join():
        continue
    return None if join else context


def spawn(fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn"):
    """start_processes() with the start method spawn."""
    return start_processes(fn, args, nprocs, join, daemon, start_method="spawn")
