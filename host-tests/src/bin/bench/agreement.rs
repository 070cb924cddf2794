//! Counts of the instructions and the stack that a Cortex-M4 needs for the client's side of RFC 8121.

use crate::{
    Figure, Outcome,
    instructions::{run, stack_used, traced},
};
use chanbind_host_tests::board::{Kind, built};

pub(crate) fn figures() -> Outcome<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let program = built(Kind::QemuMps2, "agreement");
    let phases = [
        "agreement::credential",
        "benchmark::prepare_stack",
        "agreement::begin",
        "agreement::finish_exchange",
        "agreement::high_water",
        "agreement::bare",
        "benchmark::finish",
    ];
    let counted = traced(&std::fs::read(&program)?, &phases, |trace| {
        run(&program, trace, folder.path())
    })?;
    let [credential, _, begin, finish, _, bare, _] =
        std::array::from_fn(|phase| counted.of_phase(phase));
    let stack = stack_used(folder.path())?;
    let figure = |name: &str, value: f64, unit| (format!("Cortex-M4: {name}"), value, unit);
    Ok(vec![
        figure(
            "pi of RFC 8120, once for a realm",
            credential,
            "instructions",
        ),
        figure("KAM3 with P-256, client", begin + finish, "instructions"),
        figure(
            "KAM3 with P-256, client / its two bare scalar multiplications",
            (begin + finish) / bare,
            "ratio",
        ),
        figure(
            "stack of KAM3 with P-256, client (stack painting)",
            stack,
            "bytes",
        ),
    ])
}
