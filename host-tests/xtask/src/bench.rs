use crate::{Done, firmware, firmware_targets, report, run, setup};
use std::process::Stdio;

pub(crate) fn run(arguments: &report::Arguments) -> Done {
    setup::for_the_demo()?;
    firmware_targets::prepare()?;
    for features in [&[firmware::AUTHENTICATOR][..], &[]] {
        firmware::build(&firmware::QEMU_MPS2, features)?;
    }
    run::quietly(
        "build the benches",
        &mut run::cargo(&[
            "build",
            "--locked",
            "--release",
            "--package",
            "chanbind-host-tests",
            "--bin",
            "bench",
        ]),
    )?;
    eprintln!("... measure");
    measure("target/release/bench", "bench", arguments)?;
    measure("target/release/bench", "counts", arguments)
}

/// What is counted and not timed, by the programs that the tests have built.
pub(crate) fn counts() -> Done {
    let arguments = report::Arguments {
        json: false,
        check: true,
    };
    measure("target/debug/bench", "counts", &arguments)
}

fn measure(program: &str, table: &str, arguments: &report::Arguments) -> Done {
    let output = run::command(&[program, &format!("--{table}")])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("the benches ended with {}", output.status).into());
    }
    let figures: Vec<report::Figure> = serde_json::from_slice(&output.stdout)?;
    report::print(table, &figures, arguments)
}
