//! Failing system calls: the n-th write, flush, rename or open of an upload fails, for every n; then everything goes on.

use std::fs;
use std::process::{Child, Command, Stdio};

use crate::files::noise;
use crate::rig::{self, Home, wait_until};
use crate::server::Packhouse;

/// The tool that makes a call of another process fail, attached to one server.
struct Saboteur {
    tool: Child,
    report: tempfile::NamedTempFile,
}

impl Saboteur {
    /// Lets the `n`-th `call` of each thread of the server fail with `error`.
    fn attach(server: &Packhouse, call: &str, error: &str, n: usize) -> Saboteur {
        let report = tempfile::NamedTempFile::new().expect("a temporary file");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-e", &format!("trace={call}")]);
        command.args(["-e", &format!("inject={call}:error={error}:when={n}")]);
        command.arg("-o").arg(report.path()).args(["-p", &server.pid().to_string()]);
        let tool = command.stdin(Stdio::null()).spawn().expect("strace, which this test needs");
        wait_until("the tool is attached", || threads(server).iter().all(|status| !status.contains("TracerPid:\t0\n")));
        Saboteur { tool, report }
    }

    /// Lets go of the server; whether any call was made to fail.
    fn detach(mut self) -> bool {
        let pid = rustix::process::Pid::from_child(&self.tool);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a signal");
        self.tool.wait().expect("the tool ends");
        fs::read_to_string(self.report.path()).expect("its report").contains("(INJECTED)")
    }
}

/// The state of each thread; one that is just ending is left out.
fn threads(server: &Packhouse) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).expect("the server's threads");
    tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("status")).ok()).collect()
}

/// One fault: two uploads and a download meet it, a third upload must succeed by itself, and no answer was a lie.
/// Answers whether there was such a call to fail.
fn meet(call: &str, error: &str, n: usize) -> bool {
    let what = format!("{call} {n} with {error}");
    let home = Home::new();
    let mut server = home.start();
    let address = server.address();
    let kept = noise(1, 200_000);
    rig::create_product(address, "p");
    assert_eq!(rig::upload(address, "p", "kept", &kept).expect("an answer").status, 201);

    let saboteur = Saboteur::attach(&server, call, error, n);
    let mut sent = Vec::new();
    for (version, seed) in [("v", 2), ("w", 3)] {
        let bytes = noise(seed, 300_000);
        let status = rig::upload(address, "p", version, &bytes).map(|answer| answer.status);
        assert!(matches!(status, Ok(201 | 503 | 507)), "{what}: {version}: {status:?}");
        sent.push((version, bytes, status == Ok(201)));
    }
    // Reading may fail or break off, but never with other bytes.
    if let Ok(answer) = rig::download(address, "p", "kept") {
        assert!(answer.body == kept || [500, 503].contains(&answer.status), "{what}: {}", answer.head);
    }
    let was_met = saboteur.detach();

    // No restart is needed: the store comes back by itself.
    let last = noise(4, 1_000);
    wait_until(&format!("{what}: an upload succeeds again"), || {
        rig::upload(address, "p", "last", &last).is_ok_and(|answer| [201, 409].contains(&answer.status))
    });
    sent.push(("last", last, true));
    sent.push(("kept", kept, true));
    server.kill();
    let server = home.start();
    let listed = rig::versions(server.address(), "p").expect("the versions");
    for (version, bytes, was_answered) in &sent {
        let is_there = listed.contains(&(*version).to_owned());
        assert!(is_there || !was_answered, "{what}: {version} was answered 201 and is lost");
        if is_there {
            rig::assert_whole(server.address(), "p", version, bytes);
        }
    }
    rig::stop(server);
    rig::assert_sound(home.data(), &what);
    assert!(rig::is_stage_empty(home.data()), "{what}: the stage");
    was_met
}

/// Every n until there is no n-th call any more.
fn meet_all(calls: &[&str], error: &str) {
    for call in calls {
        let met = (1..=12).take_while(|n| meet(call, error, *n)).count();
        assert!(met > 0, "no {call} was ever made to fail with {error}: this test tries the wrong calls");
    }
}

#[test]
fn a_flush_that_fails_is_final_for_its_upload_only() {
    meet_all(&["fsync", "fdatasync"], "EIO");
}

#[test]
fn a_write_that_fails_harms_nobody_else() {
    meet_all(&["write", "pwrite64"], "EIO");
    meet_all(&["write"], "ENOSPC");
}

#[test]
fn a_rename_or_open_that_fails_harms_nobody_else() {
    meet_all(&["?rename,?renameat,?renameat2"], "EIO");
    meet_all(&["openat"], "EMFILE");
}
