//! `man`: manual pages, made from the command line's definition.

use std::io::Write;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::args::{self, Cli};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

pub(crate) fn run(args: args::Man, output: &mut Output) -> Result<Exit, Error> {
    let Some(dir) = args.dir else {
        let mut page = Vec::new();
        Man::new(Cli::command())
            .render(&mut page)
            .map_err(|error| Error::Failed(error.to_string()))?;
        // A reader that went away wants to hear nothing more.
        let _ = std::io::stdout().write_all(&page);
        return Ok(Exit::Done);
    };
    let failed = |error: std::io::Error| Error::Failed(format!("{}: {error}", dir.display()));
    std::fs::create_dir_all(&dir).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), &dir).map_err(failed)?;
    output.line(&format!(
        "written to {}; see: man -l {}",
        dir.display(),
        dir.join("towline.1").display()
    ));
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    /// A verb and all below it, without what is hidden.
    fn verbs(verb: &Command) -> Vec<&Command> {
        let below = verb.get_subcommands().filter(|verb| !verb.is_hide_set());
        std::iter::once(verb).chain(below.flat_map(verbs)).collect()
    }

    #[test]
    fn every_verb_option_and_value_says_what_it_is_for() {
        let mut cli = Cli::command();
        cli.build();
        let all = verbs(&cli);
        assert!(all.len() > 15, "{}", all.len());
        for verb in all {
            let name = verb.get_name();
            assert!(verb.get_about().is_some(), "{name} says nothing");
            for argument in verb
                .get_arguments()
                .filter(|argument| !argument.is_hide_set())
            {
                let help = argument.get_help().map(ToString::to_string);
                let id = argument.get_id();
                assert!(
                    !help.unwrap_or_default().is_empty(),
                    "{name} {id} says nothing"
                );
            }
        }
    }

    /// The pages on the command, of those that there are.
    fn pages() -> String {
        let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        let pages = ["command.md", "daemon.md", "service.md"];
        let pages = pages.map(|page| std::fs::read_to_string(docs.join(page)).unwrap_or_default());
        assert!(!pages[0].is_empty());
        pages.join("\n")
    }

    #[test]
    fn every_verb_and_option_is_in_the_documentation() {
        let pages = pages();
        let word = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let words: std::collections::HashSet<&str> = pages.split(|c| !word(c)).collect();
        let mut cli = Cli::command();
        cli.build();
        for verb in verbs(&cli) {
            let name = verb.get_name();
            assert!(name == "help" || words.contains(name), "{name}");
            for argument in verb
                .get_arguments()
                .filter(|argument| !argument.is_hide_set())
            {
                if let Some(long) = argument.get_long() {
                    assert!(
                        words.contains(format!("--{long}").as_str()),
                        "{name} --{long}"
                    );
                }
            }
        }
    }
}
