//! Counts of the instructions and the stack that a board needs as the server of a technician (RFC 8120).

use crate::{Figure, Outcome, instructions::traced};
use chanbind_host_tests::technician::Technician;

const PIN: &str = "493817";

/// The function of the board's program that reads the clock for the server, at the first request. What comes before is the start of the network.
const FIRST_REQUEST: &str = "technician::serve::{{closure}}::{{closure}}";

pub(crate) async fn figures() -> Outcome<Vec<Figure>> {
    let technician = Technician::with_pin(PIN)
        .await
        .map_err(|error| error.to_string())?;
    let elf = technician.image().elf().to_vec();
    let (counted, stack) = tokio::task::spawn_blocking(move || {
        let folder = tempfile::tempdir()?;
        let mut left = String::new();
        let counted = traced(&elf, &[FIRST_REQUEST], |trace| {
            let board = technician.start(Some(trace))?;
            board.wait_for_within("event=listening", 400);
            let output = technician.connect(folder.path(), PIN, "/set-point", &[])?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                return Err(format!("the technician was not admitted: {said}").into());
            }
            left = board.wait_for_within("event=left", 400);
            Ok(())
        })?;
        Outcome::Ok((counted, left))
    })
    .await??;
    let stack: u32 = stack
        .split("stack=")
        .nth(1)
        .and_then(|digits| digits.split(' ').next()?.parse().ok())
        .ok_or("the board logged no size of its stack")?;
    let of_p256 = counted.of_part(0, 0);
    Ok(vec![
        (
            "Cortex-M4, server for a technician: login and one page".to_owned(),
            counted.of_phase(0),
            "instructions",
        ),
        (
            "Cortex-M4, server for a technician: login and one page, share of P-256".to_owned(),
            of_p256 / counted.of_phase(0),
            "ratio",
        ),
        (
            "firmware, qemu-mps2: stack used, server for a technician (stack painting)".to_owned(),
            f64::from(stack),
            "bytes",
        ),
    ])
}
