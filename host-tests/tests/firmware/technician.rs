//! A board as a server: a technician logs in with a PIN, and the board proves that it knows the technician.

use chanbind_host_tests::{go, technician::Technician};
use std::path::Path;

const PIN: &str = "493817";

/// Runs `chanbind connect mutual`. Returns its exit code, its standard output and its standard error.
fn connect(
    technician: &Technician,
    folder: &Path,
    pin: &str,
    path: &str,
    more: &[&str],
) -> (i32, String, String) {
    let output = technician.connect(folder, pin, path, more).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_technician_logs_into_the_board() {
    let technician = Technician::with_pin(PIN).await.unwrap();
    let board = technician.start(None).unwrap();
    let visits = tokio::task::spawn_blocking(move || {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        board.wait_for("event=listening");
        let (code, out, err) = connect(&technician, folder, PIN, "/set-point", &[]);
        assert_eq!((code, out.as_str()), (0, "020\n"), "{err}{}", board.said());
        assert!(err.contains("admitted by the proof (mutual)"), "{err}");
        let put = ["-X", "PUT", "-d", "37"];
        let (code, out, err) = connect(&technician, folder, PIN, "/set-point", &put);
        assert_eq!((code, out.as_str()), (0, "037\n"), "{err}");
        // Status 404, and proved all the same.
        let (code, _, err) = connect(&technician, folder, PIN, "/", &[]);
        assert_eq!(code, 1, "{err}");
        assert!(err.contains("404"), "{err}");
        let (code, out, err) = connect(&technician, folder, PIN, "/set-point", &["-X", "HEAD"]);
        assert_eq!((code, out.as_str()), (0, ""), "{err}");
        let (code, out, err) = connect(&technician, folder, "000000", "/set-point", &put);
        assert_eq!((code, out.as_str()), (3, ""), "{err}");
        let (code, out, err) = connect(&technician, folder, PIN, "/set-point", &[]);
        assert_eq!((code, out.as_str()), (0, "037\n"), "{err}");
        if let Some(program) = go::mutual() {
            let to = format!("127.0.0.1:{}", technician.port());
            let arguments = [
                "client",
                "-url",
                "http://pump7.local/set-point",
                "-resolve",
                &to,
                "-user",
                Technician::USER,
                "-password",
                PIN,
                "-requests",
                "3",
            ];
            let output = go::run(program, &arguments);
            let printed = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{printed}");
            assert_eq!(
                printed.matches("result=AUTH-SUCCEED").count(),
                3,
                "{printed}"
            );
            assert!(printed.contains("037"), "{printed}");
        }
        board.wait_for("event=visit");
        board.said()
    });
    let said = visits.await.unwrap();
    assert!(!said.contains(PIN), "{said}");
}

/// Requests that a client of HTTP would not send.
#[tokio::test(flavor = "multi_thread")]
async fn garbage_does_not_stop_the_board() {
    use std::io::{Read, Write};
    let technician = Technician::with_pin(PIN).await.unwrap();
    let board = technician.start(None).unwrap();
    let checks = tokio::task::spawn_blocking(move || {
        board.wait_for("event=listening");
        let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(4_000));
        for (request, expected) in [
            ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 401"),
            ("GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 401"),
            ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400"),
            (
                "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
                "HTTP/1.1 400",
            ),
            ("GET http://a/ HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 400"),
            ("garbage\r\n\r\n", "HTTP/1.1 400"),
            // Another reader could take the text after a bare line feed for another request.
            (
                "GET / HTTP/1.1\r\nhost: a\n\nGET / HTTP/1.1\r\n\r\n",
                "HTTP/1.1 400",
            ),
            ("GET / HTTP/1.1\nhost: a\r\n\r\n", "HTTP/1.1 400"),
            (
                "GET / HTTP/1.1\r\nhost: a\r\nauthorization: Mutual\r\nauthorization: Mutual\r\n\r\n",
                "HTTP/1.1 400",
            ),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
                "HTTP/1.1 501",
            ),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999\r\n\r\n",
                "HTTP/1.1 413",
            ),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
                "HTTP/1.1 400",
            ),
            (long.as_str(), ""),
            ("", ""),
        ] {
            let mut stream =
                std::net::TcpStream::connect(("127.0.0.1", technician.port())).unwrap();
            let limit = Some(std::time::Duration::from_secs(60));
            stream.set_read_timeout(limit).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            // A connection that the board resets has no answer.
            let _ = stream.read_to_end(&mut answer);
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(
                answer.starts_with(expected),
                "{request:?}: {answer:?}\n{}",
                board.said()
            );
        }
        let folder = tempfile::tempdir().unwrap();
        let (code, out, err) = connect(&technician, folder.path(), PIN, "/set-point", &[]);
        assert_eq!((code, out.as_str()), (0, "020\n"), "{err}");
    });
    checks.await.unwrap();
}
