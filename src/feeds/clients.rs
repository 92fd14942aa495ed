//! What machines that use a repo are set up with: client files, lines to paste, the key (`repos.md` §12, §13, §19.10).

use crate::feeds::desk::Key;
use crate::feeds::model::Type;
use crate::feeds::model::repos::Repo;
use crate::feeds::publish::shape;
use crate::http::Response;

/// The public key as a file.
pub(super) fn key_file(key: &Key) -> Response {
    Response::bytes(200, "application/pgp-keys", key.armored().to_owned()).header("Cache-Control", "no-cache")
}

/// Where apt finds the indexes: suite and components.
fn place(name: &str, repo: &Repo) -> (String, String) {
    match repo.options.flat {
        true => ("./".to_owned(), String::new()),
        false => {
            let (components, _) = crate::feeds::publish::axes(repo, name);
            let components: Vec<String> = components.into_iter().collect();
            (shape(&repo.options, name).suite.to_owned(), components.join(" "))
        }
    }
}

/// `packhouse.list`: one line for any apt.
pub(super) fn list(tree: &str, name: &str, repo: &Repo) -> String {
    let (suite, components) = place(name, repo);
    let line = format!("deb [signed-by=/etc/apt/keyrings/packhouse.gpg] {tree} {suite} {components}");
    format!("{}\n", line.trim_end())
}

/// `packhouse.sources`: the same for newer apt, with the key inside.
pub(super) fn sources(tree: &str, name: &str, repo: &Repo, key: &Key) -> String {
    let (suite, components) = place(name, repo);
    let mut text = format!("Types: deb\nURIs: {tree}\nSuites: {suite}\n");
    if !components.is_empty() {
        text.push_str(&format!("Components: {components}\n"));
    }
    text.push_str("Signed-By:\n");
    for line in key.armored().lines() {
        match line.trim_end() {
            "" => text.push_str(" .\n"),
            line => text.push_str(&format!(" {line}\n")),
        }
    }
    text
}

/// `packhouse.repo`: for dnf, yum and zypper.
pub(super) fn repo(tree: &str, name: &str) -> String {
    let id = name.replace('+', "_");
    format!("[{id}]\nname={name}\nbaseurl={tree}/\nenabled=1\nrepo_gpgcheck=1\ngpgcheck=0\ngpgkey={tree}/key.asc\n")
}

/// What to paste on a client.
pub(super) fn text(tree: &str, base: &str, name: &str, repo: &Repo) -> String {
    match repo.kind {
        Type::Apt => format!(
            "sudo mkdir -p /etc/apt/keyrings\n\
             curl -fsSo /tmp/packhouse.gpg {base}/key.gpg && sudo install -m 644 /tmp/packhouse.gpg /etc/apt/keyrings/packhouse.gpg\n\
             echo \"{}\" | sudo tee /etc/apt/sources.list.d/{name}.list\n\
             sudo apt update\n",
            list(tree, name, repo).trim_end()
        ),
        Type::Yum => format!(
            "sudo curl -fsSo /etc/yum.repos.d/{name}.repo {tree}/packhouse.repo\n\
             sudo dnf makecache --repo {}\n",
            name.replace('+', "_")
        ),
        Type::Dir => format!(
            "curl -fsSO {tree}/SHA256SUMS\n\
             wget --recursive --no-parent --no-host-directories {tree}/\n"
        ),
    }
}
