//! Real packages and private roots for the clients: nothing of the machine's own package databases is read or changed.

use std::borrow::BorrowMut;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Request;
use crate::files::segment;
use crate::server::{ADMIN, Packhouse};

/// A command of `arguments` without the caller's proxies, language and package settings.
pub(super) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(arguments[0]);
    command.args(&arguments[1..]).stdin(Stdio::null()).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "APT_CONFIG"] {
        command.env_remove(name);
    }
    command
}

/// Both outputs of a command, for a message.
pub(super) fn shown(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// Runs `command`; it must succeed. Its standard output as text.
#[track_caller]
pub(super) fn run(mut command: impl BorrowMut<Command>) -> String {
    let command = command.borrow_mut();
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", shown(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A folder of this test alone.
pub(super) fn folder() -> TempDir {
    tempfile::Builder::new().prefix("feed-clients-").tempdir().unwrap()
}

/// What a package of either kind is made of.
#[derive(Clone)]
pub(super) struct Package {
    name: String,
    version: String,
    arch: String,
    extra: Vec<String>,
    files: Vec<(String, String)>,
    compression: &'static str,
    tail: String,
}

impl Package {
    /// A package that says its version in `/usr/share/NAME/version`.
    pub(super) fn new(name: &str, version: &str, arch: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            arch: arch.to_owned(),
            extra: Vec::new(),
            files: vec![(format!("/usr/share/{name}/version"), format!("{version}\n"))],
            compression: "xz",
            tail: String::new(),
        }
    }

    /// One more field of the control file or tag of the spec, as it is written there.
    pub(super) fn field(mut self, line: &str) -> Package {
        self.extra.push(line.to_owned());
        self
    }

    /// One more file.
    pub(super) fn file(mut self, path: &str, content: &str) -> Package {
        self.files.push((path.to_owned(), content.to_owned()));
        self
    }

    /// How a deb's members are compressed: `gzip`, `xz`, `zstd` or `none`.
    pub(super) fn compressed(mut self, how: &'static str) -> Package {
        self.compression = how;
        self
    }

    /// What follows in an rpm's spec after the file list.
    pub(super) fn tail(mut self, text: &str) -> Package {
        text.clone_into(&mut self.tail);
        self
    }

    /// Builds the deb with dpkg-deb into `folder`; answers where it is.
    #[track_caller]
    pub(super) fn deb(&self, folder: &Path) -> PathBuf {
        let work = tempfile::tempdir_in(folder).unwrap();
        let root = work.path();
        fs::create_dir(root.join("DEBIAN")).unwrap();
        let mut control = format!(
            "Package: {}\nVersion: {}\nArchitecture: {}\nMaintainer: Packhouse Tests <tests@example.org>\n",
            self.name, self.version, self.arch
        );
        for line in &self.extra {
            control += &format!("{line}\n");
        }
        if !self.extra.iter().any(|line| line.starts_with("Description:")) {
            control += &format!("Description: {} for tests\n Says its version.\n", self.name);
        }
        fs::write(root.join("DEBIAN/control"), control).unwrap();
        for (path, content) in &self.files {
            let path = root.join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let plain = self.version.split_once(':').map_or(self.version.as_str(), |(_, rest)| rest);
        let file = folder.join(format!("{}_{plain}_{}.deb", self.name, self.arch));
        let how = format!("-Z{}", self.compression);
        run(command(&["dpkg-deb", "--root-owner-group", &how, "--build"]).arg(root).arg(&file));
        file
    }

    /// Builds the rpm with rpmbuild into `folder`; `version` is `[EPOCH:]VERSION-RELEASE`. Answers where it is.
    #[track_caller]
    pub(super) fn rpm(&self, folder: &Path) -> PathBuf {
        let work = tempfile::tempdir_in(folder).unwrap();
        let (epoch, rest) = self.version.split_once(':').map_or((None, self.version.as_str()), |(e, r)| (Some(e), r));
        let (version, release) = rest.rsplit_once('-').unwrap();
        let mut spec = format!("Name: {}\nVersion: {version}\nRelease: {release}\n", self.name);
        if let Some(epoch) = epoch {
            writeln!(spec, "Epoch: {epoch}").unwrap();
        }
        if self.arch == "noarch" {
            spec += "BuildArch: noarch\n";
        }
        if !self.extra.iter().any(|line| line.starts_with("Summary:")) {
            spec += "Summary: A package for tests\n";
        }
        spec += "License: MIT\n";
        for line in &self.extra {
            writeln!(spec, "{line}").unwrap();
        }
        if !self.extra.iter().any(|line| line.contains("%description")) {
            spec += "%description\nSays its version.\n";
        }
        spec += "%install\n";
        for (path, content) in &self.files {
            writeln!(spec, "mkdir -p %{{buildroot}}$(dirname '{path}')").unwrap();
            writeln!(spec, "printf '%%s' '{content}' > '%{{buildroot}}{path}'").unwrap();
        }
        spec += "%files\n";
        for (path, _) in &self.files {
            writeln!(spec, "\"{path}\"").unwrap();
        }
        spec += &self.tail;
        fs::write(work.path().join("it.spec"), spec).unwrap();
        let define = |name: &str, value: &str| format!("{name} {value}");
        let top = work.path().to_str().unwrap();
        let mut build = command(&["rpmbuild", "-bb", "--target"]);
        build.arg(if self.arch == "noarch" { "noarch" } else { &self.arch });
        for define in [
            define("_topdir", top),
            define("_rpmdir", &format!("{top}/out")),
            define("_build_id_links", "none"),
            define("__os_install_post", "%{nil}"),
            define("_dbpath", &format!("{top}/db")),
        ] {
            build.args(["--define", &define]);
        }
        run(build.arg(work.path().join("it.spec")).env("HOME", top));
        let found = find(&work.path().join("out"), ".rpm");
        let [built] = &found[..] else { panic!("rpmbuild made {found:?}") };
        let file = folder.join(built.file_name().unwrap());
        fs::rename(built, &file).unwrap();
        file
    }
}

/// Every file below `folder` whose name ends in `end`, in order.
pub(super) fn find(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false if path.to_str().unwrap().ends_with(end) => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    found
}

impl Packhouse {
    /// `http://…` of this server.
    pub(super) fn base(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Makes a repository.
    #[track_caller]
    pub(super) fn make_repo(&self, definition: &Value) {
        let answer = self.send(Request::post("/repo").token(ADMIN).json(definition));
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    /// Uploads a package into `repo`; answers its shasum.
    #[track_caller]
    pub(super) fn add(&self, repo: &str, file: &Path) -> String {
        let name = segment(file.file_name().unwrap().to_str().unwrap());
        let target = format!("/package?filename={name}&repo={repo}");
        let request = Request::post(&target).token(ADMIN).body("application/octet-stream", fs::read(file).unwrap());
        let answer = self.send(request);
        assert!([200, 201].contains(&answer.status), "{file:?}: {} {}", answer.status, answer.text());
        let value: Value = serde_json::from_slice(&answer.body).unwrap();
        value["shasum"].as_str().unwrap().to_owned()
    }

    /// Changes a repository's list of packages.
    #[track_caller]
    pub(super) fn change(&self, method: &str, repo: &str, body: &Value) -> Value {
        let request = Request::new(method, &format!("/repo/{repo}/packages")).token(ADMIN).json(body);
        let answer = self.send(request);
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// What `target` serves; it must be there.
    #[track_caller]
    pub(super) fn fetched(&self, target: &str) -> Vec<u8> {
        let answer = self.send(Request::get(target));
        assert_eq!(answer.status, 200, "{target}: {}", String::from_utf8_lossy(&answer.body));
        answer.body
    }

    /// Makes an upstream, waits for its first sync, which must end in `state`; answers the job.
    #[track_caller]
    pub(super) fn make_upstream(&self, definition: &Value, state: &str) -> Value {
        let answer = self.send(Request::post("/upstream?wait=50").token(ADMIN).json(definition));
        assert_eq!(answer.status, 201, "{}", answer.text());
        let name = definition["name"].as_str().unwrap();
        let job: Value = serde_json::from_slice(&self.fetched(&format!("/upstream/{name}/sync?wait=50"))).unwrap();
        assert_eq!(job["state"], state, "{job}");
        job
    }

    /// Makes a repository of `definition` that is a copy of an upstream of the same name.
    #[track_caller]
    pub(super) fn publish_upstream(&self, definition: &Value) {
        self.make_repo(definition);
        let name = definition["name"].as_str().unwrap();
        self.change("PUT", name, &json!({ "sync": { "name": name, "type": "upstream" } }));
    }
}

/// A root of its own for apt and dpkg.
pub(super) struct AptRoot {
    folder: TempDir,
}

impl AptRoot {
    pub(super) fn new() -> AptRoot {
        let root = AptRoot { folder: folder() };
        for path in [
            "etc/apt/sources.list.d",
            "etc/apt/preferences.d",
            "etc/apt/trusted.gpg.d",
            "etc/apt/auth.conf.d",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
            "var/log/apt",
            "var/lib/dpkg/info",
            "var/lib/dpkg/updates",
        ] {
            fs::create_dir_all(root.path().join(path)).unwrap();
        }
        fs::write(root.path().join("var/lib/dpkg/status"), "").unwrap();
        let place = root.path().to_str().unwrap();
        let settings = format!(
            "Dir \"{place}\";\nDir::Etc::parts \"/dev/null\";\nDir::Etc::main \"/dev/null\";\n\
             Dir::State::status \"{place}/var/lib/dpkg/status\";\nDir::Bin::dpkg \"/usr/bin/dpkg\";\n\
             Dir::Bin::methods \"/usr/lib/apt/methods\";\nDir::Bin::solvers:: \"/usr/lib/apt/solvers\";\n\
             APT::Architecture \"amd64\";\nAPT::Architectures {{ \"amd64\"; }};\nAPT::Sandbox::User \"root\";\n\
             Acquire::Languages \"none\";\nAcquire::http::Proxy \"DIRECT\";\nAcquire::Retries \"0\";\n\
             DPkg::Options {{ \"--root={place}\"; \"--force-script-chrootless\"; \"--force-not-root\"; \
             \"--force-unsafe-io\"; \"--log=/dev/null\"; }};\n\
             DPkg::Path \"\";\nDPkg::Use-Pty \"false\";\nBinary::apt-get::APT::Update::Error-Mode \"any\";\n"
        );
        fs::write(root.path().join("apt.conf"), settings).unwrap();
        root
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes the sources this root knows: a file of `/etc/apt/sources.list.d` named `name`.
    pub(super) fn sources(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path().join("etc/apt/sources.list.d").join(name), text).unwrap();
    }

    /// apt-get with `arguments`.
    pub(super) fn apt(&self, arguments: &[&str]) -> Command {
        let mut apt = command(&["apt-get", "-q", "-y"]);
        apt.args(arguments).env("APT_CONFIG", self.path().join("apt.conf")).env("DEBIAN_FRONTEND", "noninteractive");
        apt
    }

    /// `apt-get update`, which must pass without a warning.
    #[track_caller]
    pub(super) fn update(&self) -> String {
        let output = self.apt(&["update"]).output().unwrap();
        let text = shown(&output);
        let quiet = !text.lines().any(|line| line.starts_with("W:") || line.starts_with("E:"));
        assert!(output.status.success() && quiet, "apt-get update: {text}");
        text
    }

    /// Installs `packages`.
    #[track_caller]
    pub(super) fn install(&self, packages: &[&str]) {
        run(self.apt(&[&["install"], packages].concat()));
    }

    /// What an installed package says its version is.
    #[track_caller]
    pub(super) fn version_of(&self, name: &str) -> String {
        let said = fs::read_to_string(self.path().join(format!("usr/share/{name}/version"))).unwrap();
        said.trim().to_owned()
    }
}

/// A root of its own for dnf and rpm.
pub(super) struct DnfRoot {
    folder: TempDir,
}

impl DnfRoot {
    /// A root that knows the repositories of `repo_file`.
    pub(super) fn new(repo_file: impl AsRef<[u8]>) -> DnfRoot {
        let root = DnfRoot { folder: folder() };
        for part in ["repos", "log", "cache", "state", "vars", "root"] {
            fs::create_dir_all(root.folder.path().join(part)).unwrap();
        }
        fs::write(root.folder.path().join("repos/packhouse.repo"), repo_file).unwrap();
        fs::write(root.folder.path().join("dnf.conf"), "[main]\ngpgcheck=0\nplugins=1\nretries=1\ntimeout=20\n")
            .unwrap();
        root
    }

    /// dnf with `arguments`.
    pub(super) fn dnf(&self, arguments: &[&str]) -> Command {
        let place = self.folder.path().to_str().unwrap();
        let mut dnf = command(&["dnf", "-y", "--releasever=9", "--forcearch=x86_64", "--disableplugin=local"]);
        for option in [
            format!("--config={place}/dnf.conf"),
            format!("--installroot={place}/root"),
            format!("--setopt=reposdir={place}/repos"),
            format!("--setopt=cachedir={place}/cache"),
            format!("--setopt=logdir={place}/log"),
            format!("--setopt=persistdir={place}/state"),
            format!("--setopt=varsdir={place}/vars"),
        ] {
            dnf.arg(option);
        }
        dnf.args(arguments).env("HOME", place);
        dnf
    }

    /// What an installed package says its version is.
    #[track_caller]
    pub(super) fn version_of(&self, name: &str) -> String {
        let place = self.folder.path().join(format!("root/usr/share/{name}/version"));
        fs::read_to_string(place).unwrap().trim().to_owned()
    }
}

/// A GnuPG home with one signing key, for trees that other tools sign.
pub(super) struct Gpg {
    folder: TempDir,
}

impl Gpg {
    pub(super) fn new() -> Gpg {
        let gpg = Gpg { folder: folder() };
        run(gpg.command().args([
            "--passphrase",
            "",
            "--quick-generate-key",
            "Other Tools <other@example.org>",
            "rsa2048",
        ]));
        gpg
    }

    /// gpg with this home.
    pub(super) fn command(&self) -> Command {
        let mut gpg = command(&["gpg", "--batch", "--yes", "--pinentry-mode", "loopback"]);
        gpg.env("GNUPGHOME", self.folder.path());
        gpg
    }

    /// Where the home is.
    pub(super) fn home(&self) -> &Path {
        self.folder.path()
    }

    /// The public key in ASCII armour.
    pub(super) fn public(&self) -> String {
        run(self.command().args(["--armor", "--export"]))
    }

    /// The fingerprint.
    pub(super) fn fingerprint(&self) -> String {
        let listed = run(self.command().args(["--with-colons", "--list-keys"]));
        let line = listed.lines().find(|line| line.starts_with("fpr:")).unwrap();
        line.split(':').nth(9).unwrap().to_owned()
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        // The agent of this home ends with it.
        let _ = Command::new("gpgconf").args(["--kill", "all"]).env("GNUPGHOME", self.folder.path()).output();
    }
}
