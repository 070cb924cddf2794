use crate::{Done, run, setup};

pub(crate) fn run() -> Done {
    setup::for_the_demo()?;
    run::quietly(
        "build the demo",
        &mut run::cargo(&[
            "build",
            "--locked",
            "--package",
            "chanbind-host-tests",
            "--package",
            "chanbind",
            "--bin",
            "demo",
            "--bin",
            "chanbind",
        ]),
    )?;
    run::show(&mut run::command(&["target/debug/demo"]))
}
