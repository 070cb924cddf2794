//! A gateway whose disk is full. A limit on the length of files stands for the disk.

use super::*;
use registry::{CONFIG, DATABASE};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use workspace::connect_otp;

/// Returns a command whose process gets an error, and no signal, when it writes more than a limit allows. The shell runs `before` first.
fn limited(workspace: &Workspace, before: &str, arguments: &[&str]) -> Command {
    let command = workspace.command(arguments);
    let mut limited = Command::new("sh");
    let script = format!("trap '' XFSZ; {before} exec \"$0\" \"$@\"");
    limited.args(["-c", &script]);
    limited.arg(command.get_program()).args(command.get_args());
    limited.current_dir(workspace.path(""));
    limited.stdin(Stdio::null()).stderr(Stdio::piped());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}

#[test]
fn devices_are_admitted_and_nothing_is_lost_when_the_disk_is_full() {
    let workspace = Workspace::new();
    workspace.succeed(&["registry", "create-key", "registry.key"]);
    for name in ["client1", "client2"] {
        workspace.provision(name, &[]);
    }
    workspace.succeed(&[&["registry", "import", "registry.toml"], &DATABASE[..]].concat());
    workspace.write("gateway.toml", workspace::configuration(CONFIG));
    let mut command = limited(&workspace, "", &["gateway", "--config", "gateway.toml"]);
    let gateway = Gateway::start(&mut command, None);
    let url = gateway.url();
    assert_eq!(
        workspace.succeed(&connect_otp(&url, "client1.pem")).0,
        "ok client1\n"
    );

    let pid = Pid::from_raw(i32::try_from(gateway.child.id()).unwrap());
    let full = Rlimit {
        current: Some(0),
        maximum: None,
    };
    prlimit(pid, Resource::Fsize, full).unwrap();
    // Also one that was not looked up before.
    for name in ["client1", "client2"] {
        let connect = connect_otp(
            &url,
            if name == "client1" {
                "client1.pem"
            } else {
                "client2.pem"
            },
        );
        assert_eq!(workspace.succeed(&connect).0, format!("ok {name}\n"));
    }
    // The operator is told what is not kept, and the gateway goes on.
    gateway.wait_for_log("it could not be written down which devices have been seen");
    assert_eq!(
        workspace.succeed(&connect_otp(&url, "client2.pem")).0,
        "ok client2\n"
    );

    // With room again, changes are made and seen.
    prlimit(
        pid,
        Resource::Fsize,
        Rlimit {
            current: None,
            maximum: None,
        },
    )
    .unwrap();
    workspace.succeed(&[&["registry", "disable", "client2"], &DATABASE[..]].concat());
    assert!(wait_until(|| workspace
        .run(&connect_otp(&url, "client2.pem"))
        .status
        .code()
        == Some(3)));
    let (list, _) = workspace.succeed(&[&["registry", "list"], &DATABASE[..]].concat());
    assert_contains_all(&list, &["client1\t", "client2\tdisabled"]);
}

#[test]
fn a_change_that_does_not_fit_the_disk_is_an_error_and_leaves_the_registry_as_it_was() {
    let workspace = Workspace::new();
    workspace.succeed(&["registry", "create-key", "registry.key"]);
    workspace.provision("client1", &[]);
    workspace.succeed(&[&["registry", "import", "registry.toml"], &DATABASE[..]].concat());
    let before = workspace
        .succeed(&[&["registry", "list"], &DATABASE[..]].concat())
        .0;
    let disable = [&["registry", "disable", "client1"], &DATABASE[..]].concat();
    let mut command = limited(&workspace, "ulimit -f 0;", &disable);
    let output = process::finish(command.stdout(Stdio::piped()).spawn().unwrap());
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.starts_with("chanbind: the database of the registry: "),
        "{error}"
    );
    let after = workspace
        .succeed(&[&["registry", "list"], &DATABASE[..]].concat())
        .0;
    assert_eq!(after, before);
    workspace.succeed(&disable);
}
