//! Asks the owner at a terminal.

use std::io::{BufRead, Write};

use anyhow::bail;

use super::Choices;
use super::text::{configuration, problem};
use crate::inspect::scan::Scan;

/// Lets the owner say yes or no to what was found, name it, and name a cloud. An answer that would make a wrong
/// configuration is asked for again.
pub(super) fn ask(scan: &Scan, input: impl BufRead, out: impl Write) -> anyhow::Result<Choices> {
    let mut dialog = Dialog { input, out };
    let mut choices = Choices { sensors: Vec::new(), ..Choices::all(scan) };
    writeln!(dialog.out, "Enter takes what stands in brackets; Ctrl-C leaves everything as it is.\n")?;
    dialog.answer(scan, &mut choices, "Name of this gateway, the first level of every topic", |choices, name| {
        choices.name = name.unwrap_or(&choices.name).to_owned();
    })?;
    for found in Choices::all(scan).sensors {
        writeln!(dialog.out, "\nFound {}.", found.about)?;
        if !dialog.yes("Read it?")? {
            continue;
        }
        choices.sensors.push(found);
        dialog.answer(scan, &mut choices, "Its name, the second level of its topics", |choices, name| {
            if let (Some(sensor), Some(name)) = (choices.sensors.last_mut(), name) {
                sensor.name = name.to_owned();
            }
        })?;
    }
    writeln!(dialog.out)?;
    let question = "Broker in the cloud, such as mqtts://broker.example.net:8883";
    dialog.answer(scan, &mut choices, question, |choices, url| choices.cloud = url.map(str::to_owned))?;
    Ok(choices)
}

struct Dialog<I, O> {
    input: I,
    out: O,
}

impl<I: BufRead, O: Write> Dialog<I, O> {
    /// A line from the owner, without the white space around it.
    fn line(&mut self, prompt: &str) -> anyhow::Result<String> {
        write!(self.out, "{prompt}: ")?;
        self.out.flush()?;
        let mut line = String::new();
        if self.input.read_line(&mut line)? == 0 {
            bail!("the questions were not answered; nothing is written");
        }
        Ok(line.trim().to_owned())
    }

    fn yes(&mut self, question: &str) -> anyhow::Result<bool> {
        loop {
            match self.line(&format!("{question} [Y/n]"))?.to_ascii_lowercase().as_str() {
                "" | "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                _ => writeln!(self.out, "  y or n")?,
            }
        }
    }

    /// Asks until the configuration with the answer is good. `put` gets nothing for what stands in brackets.
    fn answer(
        &mut self,
        scan: &Scan,
        choices: &mut Choices,
        question: &str,
        put: impl Fn(&mut Choices, Option<&str>),
    ) -> anyhow::Result<()> {
        let usual = usual(choices, question);
        loop {
            let line = self.line(&format!("{question} [{usual}]"))?;
            let mut changed = choices.clone();
            put(&mut changed, Some(line.as_str()).filter(|line| !line.is_empty()));
            match problem(&configuration(scan, &changed)) {
                None => {
                    *choices = changed;
                    return Ok(());
                }
                Some(why) => writeln!(self.out, "  {why}")?,
            }
        }
    }
}

/// What Enter takes.
fn usual(choices: &Choices, question: &str) -> String {
    match choices.sensors.last() {
        _ if question.starts_with("Broker") => "none".to_owned(),
        Some(sensor) => sensor.name.clone(),
        None => choices.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn dialog(answers: &str) -> (anyhow::Result<Choices>, String) {
        let scan = crate::cli::scan::look(Path::new("/"), true, &[]).unwrap();
        let mut said = Vec::new();
        let choices = ask(&scan, answers.as_bytes(), &mut said);
        (choices, String::from_utf8(said).unwrap())
    }

    /// Enter to every question behind `first`.
    fn enters(first: &str) -> String {
        first.to_owned() + &"\n".repeat(100)
    }

    #[test]
    fn enter_takes_everything_and_no_cloud() {
        let (choices, said) = dialog(&enters(""));
        let choices = choices.unwrap();
        assert_eq!((choices.name.as_str(), choices.cloud), ("simulated", None));
        assert!(choices.sensors.len() >= 7, "{said}");
    }

    #[test]
    fn wrong_answers_are_asked_for_again() {
        let (choices, said) = dialog(&enters("she/d\nshed\nmaybe\ny\ncmd\ngreen house\ngreenhouse\nn\n"));
        let choices = choices.unwrap();
        assert_eq!((choices.name.as_str(), choices.sensors[0].name.as_str()), ("shed", "greenhouse"));
        for why in ["y or n", "`cmd` is a name that the gateway uses itself"] {
            assert!(said.contains(why), "{why}: {said}");
        }
        assert_eq!(said.matches("Its name").count(), 2 + choices.sensors.len(), "{said}");
    }

    #[test]
    fn the_cloud_must_be_an_address() {
        let scan = Scan::default();
        let mut said = Vec::new();
        let choices = ask(&scan, "\nhttp://x\nmqtts://broker.example.net\n".as_bytes(), &mut said).unwrap();
        assert_eq!(choices.cloud.as_deref(), Some("mqtts://broker.example.net"));
        assert!(String::from_utf8(said).unwrap().contains("there is no protocol `http`"));
    }

    #[test]
    fn an_end_before_the_end_is_an_error() {
        assert!(dialog("shed\ny\n").0.unwrap_err().to_string().contains("nothing is written"));
    }
}
