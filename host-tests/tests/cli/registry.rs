//! `chanbind registry`, and a gateway with its database.

use super::*;
use chanbind_host_tests::swtpm::Swtpm;
use workspace::connect_otp;

pub(super) const DATABASE: [&str; 4] = [
    "--database",
    "sqlite:fleet.db",
    "--database-key",
    "registry.key",
];
pub(super) const CONFIG: &str = "[proof.otp]\ndatabase = \"sqlite:fleet.db\"\ndatabase_key = \"registry.key\"\n\
    [[rule]]\npath = \"/\"\nany = [\"otp\"]\n";

pub(super) fn registry(workspace: &Workspace, arguments: &[&str]) -> String {
    let (verb, rest) = arguments.split_first().unwrap();
    workspace
        .succeed(&[&["registry", verb], rest, &DATABASE].concat())
        .0
}

fn failing(workspace: &Workspace, arguments: &[&str]) -> String {
    let (verb, rest) = arguments.split_first().unwrap();
    let (code, error) = workspace.fail(&[&["registry", verb], rest, &DATABASE].concat());
    assert_eq!(code, 1, "{error}");
    error
}

/// A workspace with a registry in SQLite.
pub(super) fn workspace() -> Workspace {
    let workspace = Workspace::new();
    let (out, _) = workspace.succeed(&["registry", "create-key", "registry.key"]);
    assert!(out.starts_with("wrote registry.key"), "{out}");
    workspace
}

#[test]
fn the_key_of_a_registry_can_be_in_the_tpm() {
    let workspace = Workspace::new();
    let create = ["registry", "create-key", "registry.key", "--in-tpm"];
    assert!(
        workspace
            .succeed(&create)
            .0
            .contains("it works with this TPM alone")
    );
    workspace.provision("client1", &[]);
    registry(&workspace, &["import", "registry.toml"]);
    let gateway = workspace.configured_gateway(CONFIG);
    let url = gateway.url();
    assert_eq!(
        workspace.succeed(&connect_otp(&url, "client1.pem")).0,
        "ok client1\n"
    );
    // The configuration can name the TPM.
    let other = Swtpm::start().unwrap();
    let named = |tcti: &str| {
        CONFIG.replace(
            "[[rule]]",
            &format!("database_key_tcti = \"{tcti}\"\n[[rule]]"),
        )
    };
    workspace.write(
        "gateway.toml",
        workspace::configuration(&named(&workspace.tpm().tcti())),
    );
    let check = ["gateway", "--config", "gateway.toml", "--check"];
    workspace.succeed(&check);
    // The same file with another TPM opens nothing.
    workspace.write(
        "gateway.toml",
        workspace::configuration(&named(&other.tcti())),
    );
    let (code, error) = workspace.fail(&check);
    assert_eq!(code, 1);
    assert!(error.contains("registry.key: "), "{error}");
}

#[test]
fn a_device_is_provisioned_admitted_disabled_and_changes_its_key() {
    let workspace = workspace();
    // The TOML that provisioning prints is what is imported.
    workspace.provision("client1", &[]);
    assert_eq!(
        registry(&workspace, &["import", "registry.toml"]),
        "1 added, 0 with a new key, 0 unchanged, 0 failed\n"
    );
    assert_eq!(
        registry(&workspace, &["import", "registry.toml"]),
        "0 added, 0 with a new key, 1 unchanged, 0 failed\n"
    );
    let gateway = workspace.configured_gateway(CONFIG);
    let url = gateway.url();
    let connect = connect_otp(&url, "client1.pem");
    assert_eq!(workspace.succeed(&connect).0, "ok client1\n");

    registry(&workspace, &["disable", "client1"]);
    assert!(wait_until(
        || workspace.run(&connect).status.code() == Some(3)
    ));
    registry(&workspace, &["enable", "client1"]);
    assert!(wait_until(|| workspace.run(&connect).status.success()));

    // A second key beside the first.
    std::fs::rename(workspace.path("registry.toml"), workspace.path("old.toml")).unwrap();
    std::fs::rename(workspace.path("client1.pem"), workspace.path("old.pem")).unwrap();
    workspace.provision("client1", &[]);
    let error = failing(&workspace, &["import", "registry.toml"]);
    assert!(
        error.contains("with another key: --rotate gives it this one beside it"),
        "{error}"
    );
    registry(&workspace, &["import", "--rotate", "registry.toml"]);
    assert!(wait_until(|| workspace.run(&connect).status.success()));
    let old = connect_otp(&url, "old.pem");
    workspace.succeed(&old);
    assert!(registry(&workspace, &["list"]).contains("client1\tchanging its key\t"));
    registry(&workspace, &["finish-rotation", "client1"]);
    assert!(wait_until(|| workspace.run(&old).status.code() == Some(3)));
    workspace.succeed(&connect);
    registry(&workspace, &["remove", "client1"]);
    assert!(wait_until(
        || workspace.run(&connect).status.code() == Some(3)
    ));
}

#[test]
fn devices_go_out_and_in_as_csv_and_json() {
    let workspace = workspace();
    let csv = "id,hmac_sha256,enabled,groups\n\"pump,2\",cHVtcDIga2V5IG9mIDE2IGJ5dGVz,false,\n\
        pump1,cHVtcDEga2V5IG9mIDE2IGJ5dGVz,true,line3 north\n";
    workspace.write("devices.csv", csv);
    registry(&workspace, &["import", "devices.csv"]);
    registry(&workspace, &["set-groups", "pump,2", "line4"]);
    let exported = registry(&workspace, &["export", "--with-keys"]);
    assert_eq!(exported, csv.replace("false,\n", "false,line4\n"));
    assert!(!registry(&workspace, &["export"]).contains("cHVtcDEg"));
    let json = registry(&workspace, &["export", "--format", "json", "--with-keys"]);
    let devices: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(devices[0]["id"], "pump,2");
    assert_eq!(devices[1]["groups"], serde_json::json!(["line3", "north"]));
    // The same into another database.
    workspace.write("devices.json", &json);
    let other = [
        "registry",
        "import",
        "devices.json",
        "--database",
        "sqlite:other.db",
        "--database-key",
        "registry.key",
    ];
    let (out, _) = workspace.succeed(&other);
    assert_eq!(out, "2 added, 0 with a new key, 0 unchanged, 0 failed\n");
}

#[test]
fn errors_name_the_line_and_show_no_key() {
    let workspace = workspace();
    for (name, text, says) in [
        (
            "a.csv",
            "id,key\npump1,c2VjcmV0\n",
            "line 2 has not the columns id, hmac_sha256, enabled, groups",
        ),
        (
            "a.json",
            "[{\"id\": \"pump1\",\n\"key\": \"c2VjcmV0\"}]",
            "line 2 is not a list of objects",
        ),
        (
            "a.toml",
            "[clients.pump1]\nhmac = \"c2VjcmV0\"\n",
            "line 2 is not an entry that `chanbind provision otp` prints",
        ),
        (
            "b.toml",
            "[clients.pump1]\nhmac_sha256 = \"c2Vjc mV0\"\n",
            "the key of device \"pump1\" is not base64",
        ),
        (
            "c.toml",
            "[clients.pump1]\nhmac_sha256 = \"c2VjcmV0\"\n",
            "the key of device \"pump1\" has less than 16 bytes",
        ),
    ] {
        workspace.write(name, text);
        let error = failing(&workspace, &["import", name]);
        assert!(
            error.contains(says) || says.contains("device"),
            "{name}: {error}"
        );
        assert!(!error.contains("c2Vjc"), "{error}");
    }
    let error = failing(&workspace, &["disable", "pump1"]);
    assert!(
        error.contains("device \"pump1\" is not in the registry"),
        "{error}"
    );
    // Neither a key file is replaced, nor one taken that others could read without a warning.
    let (code, error) = workspace.fail(&["registry", "create-key", "registry.key"]);
    assert_eq!(code, 1);
    assert!(error.contains("registry.key"), "{error}");
    let both = CONFIG.replace("database_key", "registry = \"registry.toml\"\ndatabase_key");
    workspace.write("gateway.toml", workspace::configuration(&both));
    let (_, error) = workspace.fail(&["gateway", "--config", "gateway.toml"]);
    assert!(
        error.contains("write registry, the file of the clients, or database and database_key"),
        "{error}"
    );
}

/// Rules name groups of the registry, and subjects.
#[test]
fn rules_admit_groups() {
    let workspace = workspace();
    workspace.provision("client1", &[]);
    registry(&workspace, &["import", "registry.toml"]);
    let rules = CONFIG.to_owned()
        + "groups = [\"line3\"]\n[[rule]]\npath = \"/own\"\nany = [\"otp\"]\nsubjects = [\"client*\"]\n";
    let gateway = workspace.configured_gateway(&rules);
    let (url, own) = (gateway.url(), gateway.url().replace("/get", "/own"));
    let connect = connect_otp(&url, "client1.pem");
    workspace.succeed(&connect_otp(&own, "client1.pem"));
    let output = workspace.run(&connect);
    assert!(!output.status.success());
    assert!(
        gateway
            .wait_for_log("client1 may not use this path")
            .contains("status=403")
    );
    registry(&workspace, &["set-groups", "client1", "line3"]);
    assert!(wait_until(|| workspace.run(&connect).status.success()));
    registry(&workspace, &["set-groups", "client1"]);
    assert!(wait_until(|| !workspace.run(&connect).status.success()));
}
