//! A program that the test starts and that ends with the test.

use std::io::Read;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::bench::soon;

pub(crate) struct Program(Child);

impl Program {
    /// Starts `program`; `hint` says what to do when it is not there.
    pub(crate) fn start(program: &str, arguments: &[&str], hint: &str) -> Self {
        let mut command = Command::new(program);
        let child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{program}: {error}; {hint}")))
    }

    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.0.stdin.take().expect("it is taken once")
    }

    /// Waits for the end, which must be a success; gives what the program printed.
    pub(crate) async fn output(mut self) -> String {
        let text = self.read().await;
        let status = self.0.wait().expect("it has closed its output, so it is about to end");
        assert!(status.success(), "{status}: {text}");
        text
    }

    /// Waits for the end, however it ends; gives what the program printed.
    pub(crate) async fn try_output(mut self) -> String {
        self.read().await
    }

    async fn read(&mut self) -> String {
        drop(self.0.stdin.take());
        let mut stdout = self.0.stdout.take().expect("it is taken once");
        let read = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).map(|_| text)
        });
        soon(read).await.expect("the reader does not panic").expect("the program prints text")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // One that has ended already cannot be killed; both is fine.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
