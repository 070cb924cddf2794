//! A folder with the files of a gateway and of its devices, in which the command runs.

use super::{process::finish, *};
use chanbind::gateway::ClientTable;
use chanbind_core::otp::ClientId;
use chanbind_host_tests::{
    pki::{Authority, Issued, Pki, for_device},
    swtpm::Swtpm,
};
use std::{io::Write, os::unix::fs::OpenOptionsExt, path::PathBuf};
use tempfile::TempDir;

/// The arguments of OpenSSL's option -newkey for a key on P-256.
pub(crate) const P256: &str = "ec -pkeyopt ec_paramgen_curve:P-256";

/// The variables of the environment that change what the command does.
const VARIABLES: [&str; 13] = [
    "ALL_PROXY",
    "CHANBIND_TCTI",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_COLOR",
    "NO_PROXY",
    "RUST_LOG",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TSS2_LOG",
    "all_proxy",
    "https_proxy",
    "no_proxy",
];

/// A folder with a server's certificate `chain.pem`, its key `server.pem` and its authority `ca.pem`, and a TPM.
pub(crate) struct Workspace {
    pub(crate) folder: TempDir,
    swtpm: Option<Swtpm>,
    tcti: String,
}

impl Workspace {
    pub(crate) fn new() -> Self {
        let swtpm = Swtpm::start().unwrap();
        let tcti = swtpm.tcti();
        Self::with(Some(swtpm), tcti)
    }

    /// Creates a workspace in which no TPM can be reached.
    pub(crate) fn without_tpm() -> Self {
        Self::with(None, "swtpm:host=127.0.0.1,port=1".to_owned())
    }

    fn with(swtpm: Option<Swtpm>, tcti: String) -> Self {
        let workspace = Self {
            folder: tempfile::tempdir().unwrap(),
            swtpm,
            tcti,
        };
        let pki = Pki::new().unwrap();
        workspace.write("ca.pem", pki.ca);
        workspace.write("chain.pem", pki.certificate);
        workspace.write("server.pem", pki.key);
        workspace
    }

    pub(crate) fn tpm(&self) -> &Swtpm {
        self.swtpm.as_ref().expect("the workspace has a TPM")
    }

    pub(crate) fn stop_tpm(&mut self) {
        self.swtpm = None;
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file that only its owner may read.
    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(self.path(name)).unwrap();
        file.write_all(contents.as_ref()).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Returns the names of the files, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program::path("chanbind"));
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("CHANBIND_TCTI", &self.tcti)
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, |_| {})
    }

    /// Runs the command to its end, after `change` has modified how it is started.
    pub(crate) fn run_with(&self, arguments: &[&str], change: impl FnOnce(&mut Command)) -> Output {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped());
        change(&mut command);
        finish(command.spawn().unwrap())
    }

    /// Runs the command to its end with `input` on its standard input.
    pub(crate) fn run_on(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = self.command(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // The command may end without reading it.
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = finish(child);
        let _ = writer.join().unwrap();
        output
    }

    /// Runs the command, which must succeed. Returns its standard output and its standard error.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> (String, String) {
        let output = self.run(arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {out}{err}");
        (out, err)
    }

    /// Runs the command, which must fail and leave nothing in the TPM. Returns its exit code and its standard error.
    pub(crate) fn fail(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments);
        if let Some(swtpm) = &self.swtpm {
            assert_eq!(swtpm.orphans(), [""; 0], "{arguments:?}");
        }
        let err = text(&output.stderr);
        assert!(
            !output.status.success(),
            "{arguments:?} succeeds: {}{err}",
            text(&output.stdout)
        );
        let code = output.status.code();
        let code = code.unwrap_or_else(|| panic!("{arguments:?}: {}: {err}", output.status));
        (code, err)
    }

    /// Provisions the HMAC key `CLIENT.pem` and adds the client to `registry.toml`.
    pub(crate) fn provision(&self, client: &str, more: &[&str]) {
        let out = format!("{client}.pem");
        let arguments = [
            &["provision", "otp", "--client-id", client, "--out", &out],
            more,
        ]
        .concat();
        let (entry, _) = self.succeed(&arguments);
        self.add_to_registry(&entry);
    }

    /// Adds a client whose key is in software to `registry.toml`.
    pub(crate) fn register(&self, client: &str, key: &[u8]) {
        self.add_to_registry(&ClientTable::entry(ClientId::new(client).unwrap(), key));
    }

    fn add_to_registry(&self, entry: &str) {
        let before = std::fs::read_to_string(self.path("registry.toml")).unwrap_or_default();
        self.write("registry.toml", before + entry);
    }

    /// Writes `NAME.pem` and `NAME.key`.
    pub(crate) fn write_issued(&self, name: &str, issued: &Issued) {
        self.write(&format!("{name}.pem"), issued.pem());
        self.write(&format!("{name}.key"), issued.key_pem());
    }

    /// Writes an authority `AUTHORITY.pem` and a device of it, `NAME.pem` and `NAME.key`, whose key is in software.
    pub(crate) fn software_device(&self, name: &str, authority: &str) -> Issued {
        let ca = Authority::new(authority).unwrap();
        self.write(&format!("{authority}.pem"), ca.pem());
        let uri = format!("urn:example:{name}");
        let device = ca.issue(|params| for_device(params, &uri)).unwrap();
        self.write_issued(name, &device);
        device
    }

    /// Starts a gateway for the clients of `registry.toml`.
    pub(crate) fn otp_gateway(&self, more: &[&str]) -> Gateway {
        self.gateway("otp", &["--registry", "registry.toml"], more)
    }

    /// Starts a gateway for devices with certificates of an authority.
    pub(crate) fn authenticator_gateway(&self, authority: &str, more: &[&str]) -> Gateway {
        self.gateway("authenticator", &["--client-ca", authority], more)
    }

    fn gateway(&self, kind: &str, clients: &[&str], more: &[&str]) -> Gateway {
        let files = ["--cert", "chain.pem", "--key", "server.pem"];
        let listen = ["--listen", "127.0.0.1:0"];
        let is_own = more.contains(&"--listen");
        let listen = if is_own { &[] } else { &listen[..] };
        let arguments = [&["gateway", kind], clients, &files, listen, more].concat();
        Gateway::start(&mut self.command(&arguments), None)
    }

    /// Starts a gateway from a configuration file, to which the address and the certificate are added.
    pub(crate) fn configured_gateway(&self, rest: &str) -> Gateway {
        self.write("gateway.toml", configuration(rest));
        let arguments = ["gateway", "--config", "gateway.toml"];
        Gateway::start(&mut self.command(&arguments), None)
    }

    /// Runs OpenSSL on the files of the workspace, and returns what it printed.
    pub(crate) fn openssl(&self, arguments: &[&str]) -> String {
        let output = self.try_openssl(arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {out}{err}");
        out + &err
    }

    pub(crate) fn try_openssl(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("openssl");
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        finish(command.spawn().unwrap())
    }

    /// Creates an authority with OpenSSL: `NAME.pem` and `NAME.key`.
    pub(crate) fn authority(&self, name: &str, subject: &str, algorithm: &str) {
        let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
        let mut arguments = vec!["req", "-x509", "-nodes", "-days", "30", "-subj", subject];
        arguments.extend(["-addext", "keyUsage=critical,keyCertSign"]);
        arguments.extend(["-keyout", &key, "-out", &certificate]);
        arguments.push("-newkey");
        arguments.extend(algorithm.split(' '));
        self.openssl(&arguments);
    }
}

/// Returns a configuration with an address, the workspace's certificate, and the sections and rules in `rest`.
pub(crate) fn configuration(rest: &str) -> String {
    format!(
        "listen = \"127.0.0.1:0\"\n\n[tls]\ncertificate = \"chain.pem\"\nkey = \"server.pem\"\n\n{rest}"
    )
}

/// Returns the command line that connects with a one-time password.
pub(crate) fn connect_otp<'a>(url: &'a str, key: &'a str) -> Vec<&'a str> {
    vec!["connect", "otp", url, "--ca", "ca.pem", "--key", key]
}

/// Returns the command line that connects with an Exported Authenticator.
pub(crate) fn connect_authenticator<'a>(
    url: &'a str,
    certificate: &'a str,
    key: &'a str,
) -> Vec<&'a str> {
    let mut arguments = vec!["connect", "authenticator", url, "--ca", "ca.pem"];
    arguments.extend(["--certificate", certificate, "--key", key]);
    arguments
}
