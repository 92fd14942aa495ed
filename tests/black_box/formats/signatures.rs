//! Signatures between this program, GnuPG, and the verifiers of apt and rpm: each must accept the other's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use packhouse::formats::openpgp::{Certificates, KeyKind, SigningKey};

use crate::packages::output;

const RELEASE: &str =
    "Origin: Packhouse\nSuite: stable\nDescription: a - dash\nSHA256:\n e3b0 0 main/binary-all/Packages\n";

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A GnuPG home of its own; its agent ends with it.
struct Gpg(tempfile::TempDir);

impl Gpg {
    fn new() -> Gpg {
        let home = tempfile::Builder::new().prefix("gpg").tempdir_in("/tmp").unwrap();
        Gpg(home)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(self.0.path());
        command.args(["--batch", "--yes", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", ""]);
        command
    }

    fn run(&self, arguments: &[&str]) -> String {
        output(self.command().args(arguments))
    }

    /// Makes a key and answers its fingerprint.
    fn make(&self, user: &str, algorithm: &str, usage: &str, expiry: &str) -> String {
        self.run(&["--quick-gen-key", user, algorithm, usage, expiry]);
        let listed = self.run(&["--with-colons", "--list-keys", user]);
        listed.lines().find(|line| line.starts_with("fpr:")).unwrap().split(':').nth(9).unwrap().to_owned()
    }

    fn certificates(&self) -> Certificates {
        Certificates::parse(self.run(&["--armor", "--export"]).as_bytes()).unwrap()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// Signs `data` with further options; answers the signature.
    fn sign(&self, data: &[u8], options: &[&str]) -> Vec<u8> {
        let (input, target) = (self.write("data", data), self.path("data.sig"));
        let _ = std::fs::remove_file(&target);
        output(self.command().args(options).arg("--output").arg(&target).arg(&input));
        std::fs::read(target).unwrap()
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").arg("--homedir").arg(self.0.path()).args(["--kill", "all"]).output();
    }
}

fn gpgv(keyring: &Path, files: &[&Path]) {
    output(Command::new("gpgv").arg("--keyring").arg(keyring).args(files));
}

#[test]
fn others_accept_what_is_signed_here() {
    for kind in [KeyKind::Rsa3072, KeyKind::Ed25519] {
        let key = SigningKey::generate(kind, "Packhouse <repo@example.org>", now() - 5).unwrap();
        let gpg = Gpg::new();
        let ring = gpg.write("ring.gpg", key.public_binary().unwrap());
        let armored = gpg.write("key.asc", key.public_armored().unwrap());
        let text = gpg.write("Release", RELEASE);
        let detached = gpg.write("Release.gpg", key.sign_detached(RELEASE.as_bytes(), now()).unwrap());
        let inline = gpg.write("InRelease", key.clearsign(RELEASE, now()).unwrap());
        gpgv(&ring, &[&detached, &text]);
        gpgv(&ring, &[&inline]);
        gpg.run(&["--import", armored.to_str().unwrap()]);
        gpg.run(&["--verify", inline.to_str().unwrap()]);
        let plain = gpg.path("plain");
        output(gpg.command().arg("--output").arg(&plain).arg("--decrypt").arg(&inline));
        assert_eq!(std::fs::read_to_string(plain).unwrap(), RELEASE);
        let listed = gpg.run(&["--with-colons", "--list-keys"]);
        let public: Vec<&str> = listed.lines().find(|line| line.starts_with("pub:")).unwrap().split(':').collect();
        assert_eq!((public[6], public[11].to_lowercase().contains("sc")), ("", true), "{listed}");
        assert!(listed.contains(&key.fingerprint()), "{listed}");
        // The newest verifier, which refuses what rests on SHA-1.
        output(Command::new("sqv").arg("--keyring").arg(&armored).arg(&detached).arg(&text));
        if kind == KeyKind::Rsa3072 {
            let database = gpg.path("rpmdb");
            output(Command::new("rpm").arg("--dbpath").arg(&database).arg("--import").arg(&armored));
            let keys = output(Command::new("rpm").arg("--dbpath").arg(&database).args(["-q", "gpg-pubkey"]));
            assert!(keys.to_uppercase().contains(&key.fingerprint()[32..]), "{keys}");
        }
        // Dashes and empty lines at the margins.
        for text in ["- a\n-----BEGIN\n\nb\n\n", "x", "\n"] {
            let odd = gpg.write("odd", key.clearsign(text, now()).unwrap());
            gpgv(&ring, &[&odd]);
        }
    }
}

#[test]
fn what_gnupg_signs_is_accepted_here() {
    let gpg = Gpg::new();
    let rsa = gpg.make("One <one@example.org>", "rsa2048", "sign,cert", "never");
    let edwards = gpg.make("Two <two@example.org>", "ed25519", "cert", "2y");
    // As distributions do it: the primary key only certifies, a subkey signs.
    gpg.run(&["--quick-add-key", &edwards, "ed25519", "sign", "1y"]);
    let trusted = gpg.certificates();
    assert_eq!(trusted.fingerprints(), [rsa.clone(), edwards.clone()]);
    for user in ["one@example.org", "two@example.org"] {
        for options in
            [&["--detach-sign"][..], &["--detach-sign", "--armor"], &["--detach-sign", "--textmode", "--armor"]]
        {
            let signature = gpg.sign(b"data\nof lines\n", &[&["--local-user", user], options].concat());
            let signer = trusted.verify_detached(b"data\nof lines\n", &signature, now()).unwrap();
            assert_eq!(signer.certificate, if user.starts_with("one") { &rsa[..] } else { &edwards[..] });
            assert!(trusted.verify_detached(b"data\nof line\n", &signature, now()).is_err());
        }
        let inline = gpg.sign(RELEASE.as_bytes(), &["--local-user", user, "--clearsign"]);
        let (text, signer) = trusted.verify_inline(&inline, now()).unwrap();
        assert_eq!(text, RELEASE);
        assert!(user.starts_with("one") || !edwards.ends_with(&signer.key_id), "the subkey signs");
    }
    // Two signatures, of which one is known.
    let both = gpg.sign(b"x", &["--local-user", "one@example.org", "--local-user", "two@example.org", "--detach-sign"]);
    for user in ["one@example.org", "two@example.org"] {
        let one = Certificates::parse(gpg.run(&["--armor", "--export", user]).as_bytes()).unwrap();
        one.verify_detached(b"x", &both, now()).unwrap();
    }
    // A secret key made elsewhere can sign here.
    for user in ["one@example.org", "two@example.org"] {
        let secret = gpg.run(&["--armor", "--export-secret-keys", user]);
        let key = SigningKey::from_armored_secret(&secret, now()).unwrap();
        let signature = key.sign_detached(b"x", now()).unwrap();
        trusted.verify_detached(b"x", signature.as_bytes(), now()).unwrap();
        let inline = gpg.write("InRelease", key.clearsign(RELEASE, now()).unwrap());
        gpg.run(&["--verify", inline.to_str().unwrap()]);
    }
}

#[test]
fn signatures_that_do_not_count() {
    let gpg = Gpg::new();
    let key = gpg.make("One <one@example.org>", "rsa2048", "sign,cert", "never");
    let data = b"data";
    let sign = |options: &[&str]| gpg.sign(data, &[options, &["--detach-sign"]].concat());
    let judge = |signature: &[u8], at: i64| {
        gpg.certificates().verify_detached(data, signature, at).map(|_| ()).map_err(|fault| fault.to_string())
    };
    let id = &key[24..];

    let good = sign(&[]);
    assert_eq!(judge(&good, now()), Ok(()));
    for weak in ["SHA1", "RIPEMD160"] {
        let told = judge(&sign(&["--digest-algo", weak, "--allow-weak-digest-algos"]), now()).unwrap_err();
        assert!(told.contains("too weak") && told.contains(id), "{told}");
    }
    let short = sign(&["--default-sig-expire", "1d"]);
    assert_eq!(judge(&short, now()), Ok(()));
    let told = judge(&short, now() + 2 * 86_400).unwrap_err();
    assert!(told.contains("has expired") && told.contains(id), "{told}");
    let told = judge(&good, now() - 3 * 86_400).unwrap_err();
    assert!(told.contains("future"), "{told}");

    // A key that expires, by its own word.
    gpg.run(&["--quick-set-expire", &key, "10d"]);
    assert_eq!(judge(&good, now()), Ok(()));
    let told = judge(&good, now() + 20 * 86_400).unwrap_err();
    assert!(told.contains("expired on") && told.contains(id), "{told}");

    // A signing subkey: good, then revoked.
    gpg.run(&["--quick-add-key", &key, "rsa2048", "sign", "5d"]);
    let by_subkey = sign(&[]);
    assert_eq!(judge(&by_subkey, now()), Ok(()));
    assert!(judge(&by_subkey, now() + 6 * 86_400).unwrap_err().contains("expired on"));
    let script = gpg.write("script", "key 1\nrevkey\ny\n0\n\ny\nsave\n");
    let command = format!(
        "gpg --homedir {home} --batch --yes --no-tty --pinentry-mode loopback --passphrase '' --command-fd 0 --expert --edit-key {key} < {script}",
        home = gpg.0.path().display(),
        script = script.display()
    );
    output(Command::new("sh").args(["-c", &command]));
    let told = judge(&by_subkey, now()).unwrap_err();
    assert!(told.contains("is revoked"), "{told}");

    // The whole key revoked.
    let revocation = std::fs::read_to_string(gpg.path(&format!("openpgp-revocs.d/{key}.rev"))).unwrap();
    let revocation = gpg.write("revocation", revocation.replace(":-----BEGIN", "-----BEGIN"));
    gpg.run(&["--import", revocation.to_str().unwrap()]);
    let told = judge(&good, now()).unwrap_err();
    assert!(told.contains("is revoked"), "{told}");

    let protected = gpg.run(&["--armor", "--export-secret-keys"]);
    assert!(SigningKey::from_armored_secret(&protected, now()).unwrap_err().to_string().contains("is revoked"));
}

/// The packets of an exported certificate, each with its tag.
fn packets(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut found = Vec::new();
    while let Some(first) = bytes.first() {
        let number = |length: usize| bytes[1..=length].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let (tag, head, body) = match (first & 0x40 != 0, first & 3) {
            (false, width) => ((first >> 2) & 15, 1 + (1 << width), number(1 << width)),
            (true, _) if bytes[1] < 192 => (first & 63, 2, usize::from(bytes[1])),
            (true, _) => (first & 63, 3, ((usize::from(bytes[1]) - 192) << 8) + usize::from(bytes[2]) + 192),
        };
        found.push((tag, &bytes[..head + body]));
        bytes = &bytes[head + body..];
    }
    found
}

#[test]
fn a_subkey_counts_only_for_the_certificate_that_bound_it() {
    const SUBKEY: u8 = 14;
    let (own, foreign) = (Gpg::new(), Gpg::new());
    let trusted = own.make("Own <own@example.org>", "ed25519", "cert", "never");
    own.run(&["--quick-add-key", &trusted, "ed25519", "sign", "never"]);
    let key = foreign.make("Foreign <foreign@example.org>", "ed25519", "cert", "never");
    foreign.run(&["--quick-add-key", &key, "ed25519", "sign", "never"]);
    let export = |gpg: &Gpg| {
        let path = gpg.path("export");
        output(gpg.command().arg("--output").arg(&path).arg("--export"));
        std::fs::read(path).unwrap()
    };
    let (mine, theirs) = (export(&own), export(&foreign));
    let tail = packets(&theirs).into_iter().skip_while(|(tag, _)| *tag != SUBKEY).flat_map(|(_, bytes)| bytes.to_vec());
    let grafted = Certificates::parse(&[mine.clone(), tail.collect()].concat()).unwrap();
    let signature = foreign.sign(b"data", &["--detach-sign"]);
    let told = grafted.verify_detached(b"data", &signature, now()).unwrap_err().to_string();
    assert!(told.contains("is not bound"), "{told}");
    grafted.verify_detached(b"data", &own.sign(b"data", &["--detach-sign"]), now()).unwrap();
    // The subkey alone, its binding taken away.
    let bare: Vec<u8> = packets(&mine)
        .into_iter()
        .take_while(|(tag, _)| *tag != SUBKEY)
        .flat_map(|(_, bytes)| bytes.to_vec())
        .collect();
    let bare = Certificates::parse(&bare).unwrap();
    let told = bare.verify_detached(b"data", &own.sign(b"data", &["--detach-sign"]), now()).unwrap_err().to_string();
    assert!(told.contains("no given certificate"), "{told}");
}
