use crate::{Done, report, run, setup};

pub(crate) fn run(arguments: &report::Arguments) -> Done {
    setup::for_the_demo()?;
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
    let output = run::command(&["target/release/bench"])
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("the benches ended with {}", output.status).into());
    }
    let figures: Vec<report::Figure> = serde_json::from_slice(&output.stdout)?;
    report::print("bench", &figures, arguments)
}
