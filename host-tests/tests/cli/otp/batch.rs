//! `chanbind provision --batch`.

use super::*;
use crate::registry::{CONFIG, DATABASE};
use chanbind_host_tests::swtpm::Swtpm;

const DONE_FIRST: &str = "3 provisioned, 0 unchanged, 0 failed\n";
const DONE_AGAIN: &str = "0 provisioned, 3 unchanged, 0 failed\n";

/// A list of three devices, of which one has a TPM of its own.
fn list(workspace: &Workspace, other: &Swtpm) {
    let list = format!(
        "client_id,tcti,out,device_config,groups\npump1,,,,line3 north\npump2,{},second.pem,pump2.toml,\n pump3 ,,,,\n",
        // A comma separates the parts of an address too.
        format_args!("\"{}\"", other.tcti())
    );
    workspace.write("devices.csv", list);
}

#[test]
fn a_batch_is_provisioned_once_and_its_devices_are_admitted() {
    let (workspace, other) = (Workspace::new(), Swtpm::start().unwrap());
    list(&workspace, &other);
    let batch = [
        "provision",
        "--batch",
        "devices.csv",
        "--registry",
        "registry.toml",
    ];
    assert_eq!(workspace.succeed(&batch).0, DONE_FIRST);
    let before = workspace.read("registry.toml") + &workspace.read("second.pem");
    assert_eq!(workspace.succeed(&batch).0, DONE_AGAIN);
    assert_eq!(
        workspace.read("registry.toml") + &workspace.read("second.pem"),
        before
    );
    assert!(workspace.read("pump2.toml").starts_with("[proof.otp.key]"));
    let gateway = workspace.otp_gateway(&[]);
    let url = gateway.url();
    for (name, key, tcti) in [
        ("pump1", "pump1.pem", workspace.tpm().tcti()),
        ("pump2", "second.pem", other.tcti()),
        ("pump3", "pump3.pem", workspace.tpm().tcti()),
    ] {
        let connect = [&connect_otp(&url, key)[..], &["--tcti", &tcti]].concat();
        assert_eq!(workspace.succeed(&connect).0, format!("ok {name}\n"));
    }
    assert!(
        workspace
            .read("registry.toml")
            .contains("groups = [\"line3\", \"north\"]")
    );
}

/// An interruption leaves the files of a moment: of each, the next run makes the whole.
#[test]
fn a_batch_goes_on_after_an_interruption() {
    let workspace = Workspace::new();
    workspace.write("devices.csv", "client_id\npump1\npump2\npump3\n");
    workspace.succeed(&["registry", "create-key", "registry.key"]);
    let batch = [&["provision", "--batch", "devices.csv"], &DATABASE[..]].concat();
    assert_eq!(workspace.succeed(&batch).0, DONE_FIRST);
    // Before the key got its name; before the registry had the key; within the writing of the file.
    std::fs::rename(workspace.path("pump1.pem"), workspace.path("pump1.pem.new")).unwrap();
    std::fs::rename(workspace.path("pump2.pem"), workspace.path("pump2.pem.new")).unwrap();
    workspace.succeed(&[&["registry", "remove", "pump2"], &DATABASE[..]].concat());
    std::fs::remove_file(workspace.path("pump3.pem")).unwrap();
    workspace.write("pump3.pem.new", "-----BEGIN");
    workspace.succeed(&[&["registry", "remove", "pump3"], &DATABASE[..]].concat());
    assert_eq!(workspace.succeed(&batch).0, DONE_FIRST);
    assert_eq!(workspace.succeed(&batch).0, DONE_AGAIN);
    let left: Vec<_> = workspace
        .files()
        .into_iter()
        .filter(|name| name.ends_with(".new"))
        .collect();
    assert_eq!(left, [""; 0]);
    let gateway = workspace.configured_gateway(CONFIG);
    for name in ["pump1", "pump2", "pump3"] {
        let (key, url) = (format!("{name}.pem"), gateway.url());
        assert_eq!(
            workspace.succeed(&connect_otp(&url, &key)).0,
            format!("ok {name}\n")
        );
    }
}

#[test]
fn what_cannot_be_provisioned_is_said_and_the_rest_goes_on() {
    let workspace = Workspace::new();
    workspace.provision("old", &[]);
    workspace.write("taken.pem", "mine");
    workspace.write("taken.toml", "mine");
    std::fs::remove_file(workspace.path("old.pem")).unwrap();
    workspace.write(
        "devices.csv",
        "client_id,tcti,device_config\ntaken,,\nold,,\nnew1,,taken.toml\nnew2,\"swtpm:host=127.0.0.1,port=1\",\nnew3,,\n",
    );
    let batch = [
        "provision",
        "--batch",
        "devices.csv",
        "--registry",
        "registry.toml",
    ];
    let output = workspace.run(&batch);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stdout),
        "1 provisioned, 0 unchanged, 4 failed\n"
    );
    let errors = text(&output.stderr);
    assert_contains_all(
        &errors,
        &[
            "chanbind: taken: taken.pem: it exists, and the registry does not know the device: move it away",
            "chanbind: old: old.pem: it does not exist, and the registry knows the device",
            "chanbind: new1: taken.toml: it exists: move it away",
            "chanbind: new2: ",
        ],
    );
    assert_eq!(
        workspace.read("taken.pem") + &workspace.read("taken.toml"),
        "minemine"
    );
    for (list, says) in [
        ("client_id\na\na\n", "\"a\" stands twice"),
        ("name\na\n", "line 2 has not the columns client_id"),
    ] {
        workspace.write("devices.csv", list);
        let (code, error) = workspace.fail(&batch);
        assert_eq!(code, 1);
        assert!(error.contains(says), "{error}");
    }
    workspace.write("devices.csv", "client_id\na\n");
    let (_, error) = workspace.fail(&["provision", "--batch", "devices.csv"]);
    assert!(
        error.contains("give --registry, or --database and --database-key"),
        "{error}"
    );
    let (code, _) = workspace.fail(&["provision", "--registry", "registry.toml"]);
    assert_eq!(code, 2);
}
