"""The tools of the field that repositories are measured against, each in a directory of its own, signing with a key of its own."""

import json
import os
import shutil
import subprocess
import time

from servers import Fault

# The program that is looked for, and the Debian package that brings it.
TOOLS = {
    "createrepo_c": "createrepo-c", "reprepro": "reprepro", "aptly": "aptly", "gpg": "gnupg", "gpg-agent": "gpg-agent",
    "apt-ftparchive": "apt-utils", "dnf": "dnf",
}
# Further packages, and a file of each.
PLUGINS = {"dnf-plugins-core": "/usr/lib/python3/dist-packages/dnf-plugins/reposync.py"}


def run(command, **options):
    """Runs a command that must end well; the seconds it took."""
    begin = time.monotonic()
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=1800, **options)
    seconds = time.monotonic() - begin
    if done.returncode:
        raise Fault(f"{command[0]} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-300:]}")
    return seconds


class Gpg:
    """A GnuPG home with one key. Its agent ends with `end`."""

    def __init__(self, folder):
        # An agent's socket has a short path only.
        self.environment = {**os.environ, "GNUPGHOME": str(folder), "HOME": str(folder), "LC_ALL": "C.UTF-8"}
        run(["gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "Bench <bench@example.org>",
             "rsa3072", "sign", "never"], env=self.environment)
        listed = subprocess.run(["gpg", "--batch", "--list-keys", "--with-colons"], env=self.environment, check=True,
                                capture_output=True, text=True).stdout
        self.key = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))

    def end(self):
        subprocess.run(["gpgconf", "--kill", "all"], env=self.environment, capture_output=True)


class Createrepo:
    """A directory of rpms whose metadata `createrepo_c --update` keeps."""

    def __init__(self, folder, heap):
        self.folder, self.heap = folder, heap
        for path in heap.base():
            os.link(path, folder / path.name)
        self.first = run(["createrepo_c", "--quiet", folder])

    def add(self, path):
        os.link(path, self.folder / path.name)
        return run(["createrepo_c", "--quiet", "--update", "--skip-stat", self.folder])


class Reprepro:
    """A distribution kept by reprepro."""

    def __init__(self, folder, heap, gpg):
        self.folder, self.gpg = folder, gpg
        (folder / "conf").mkdir()
        (folder / "conf/distributions").write_text(
            "Codename: stable\nSuite: stable\nComponents: main\nArchitectures: amd64 arm64\n"
            f"DebIndices: Packages Release . .gz .xz\nSignWith: {gpg.key}\n")
        self.first = self.include(heap.base())

    def include(self, paths):
        return run(["reprepro", "--silent", "--basedir", self.folder, "includedeb", "stable", *paths],
                   env=self.gpg.environment)

    def add(self, path):
        return self.include([path])


class Aptly:
    """A local repository of aptly, published; or mirrors kept by it."""

    def __init__(self, folder, gpg):
        self.folder, self.gpg, self.config = folder, gpg, folder / "aptly.conf"
        self.config.write_text(json.dumps(
            {"rootDir": str(folder / "root"), "architectures": ["amd64", "arm64"], "gpgProvider": "gpg",
             "downloadConcurrency": 4}))

    def call(self, *arguments):
        return run(["aptly", "-config", self.config, *arguments], env=self.gpg.environment)

    def publish(self, heap):
        self.call("repo", "create", "-distribution=stable", "-component=main", "bench")
        return self.call("repo", "add", "bench", heap.folder) + self.call(
            "publish", "repo", "-batch", f"-gpg-key={self.gpg.key}", "-acquire-by-hash", "bench")

    def add(self, path):
        return self.call("repo", "add", "bench", path) + self.call(
            "publish", "update", "-batch", f"-gpg-key={self.gpg.key}", "stable")

    def mirror(self, address):
        return self.call("mirror", "create", "-ignore-signatures", "bench", address, "./") + self.again()

    def again(self):
        return self.call("mirror", "update", "-ignore-signatures", "bench")


class Reposync:
    """A copy of a yum repository kept by dnf."""

    def __init__(self, folder, address):
        self.folder = folder
        for part in ("repos", "vars", "root", "log", "cache", "state"):
            (folder / part).mkdir()
        (folder / "repos/bench.repo").write_text(f"[bench]\nname=bench\nbaseurl={address}\nenabled=1\ngpgcheck=0\n")
        (folder / "dnf.conf").write_text("[main]\ngpgcheck=0\nplugins=1\n")

    def copy(self):
        place = self.folder
        return run(["dnf", "-q", "-y", "--releasever=9", "--forcearch=x86_64", "--disableplugin=local",
                    f"--config={place}/dnf.conf", f"--installroot={place}/root", f"--setopt=reposdir={place}/repos",
                    f"--setopt=cachedir={place}/cache", f"--setopt=logdir={place}/log",
                    f"--setopt=persistdir={place}/state", f"--setopt=varsdir={place}/vars", "reposync",
                    "--repoid=bench", "--download-metadata", "--norepopath", f"--download-path={place}/copy"],
                   env={**os.environ, "HOME": str(place), "LC_ALL": "C.UTF-8"})


def yum_tree(folder, heap):
    """A repository for others to copy."""
    for path in heap.base():
        os.link(path, folder / path.name)
    run(["createrepo_c", "--quiet", folder])


def apt_tree(folder, heap):
    """The same in the flat form of apt."""
    for path in heap.base():
        os.link(path, folder / path.name)
    for form, name in (("packages", "Packages"), ("release", "Release")):
        text = subprocess.run(["apt-ftparchive", form, "."], cwd=folder, check=True, capture_output=True).stdout
        (folder / name).write_bytes(text)
    run(["gzip", "-k", "-n", folder / "Packages"])
    (folder / "Release").unlink()
    text = subprocess.run(["apt-ftparchive", "release", "."], cwd=folder, check=True, capture_output=True).stdout
    (folder / "Release").write_bytes(text)


def missing():
    """The packages that have to be installed."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    packages = {package for program, package in TOOLS.items() if not shutil.which(program, path=path)}
    return packages | {package for package, file in PLUGINS.items() if not os.path.exists(file)}
