//! Commands that the organisation declares: what each is called, what exactly may be typed for it, and whether doing it twice is
//! doing it once. A rule that allows a declared command by its name allows what fits the declaration, and nothing else.

use crate::outside::action_name;
use writ_text::{Node, Problem, Problems, Value};

/// The most commands of a file.
const COMMANDS_MAX: usize = 256;

/// The most words of one.
const WORDS_MAX: usize = 64;

/// A command that is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredCommand {
    /// What its action is called.
    pub id: String,
    /// What it is for; empty when nothing is said.
    pub description: String,
    /// Whether carrying it out twice comes to the same as once: then it is carried out again when its outcome was lost.
    pub repeatable: bool,
    words: Vec<Word>,
    /// Whether any more words may follow.
    open: bool,
}

/// What may stand in one place of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    /// One of these.
    Of(Vec<String>),
    /// Any word that is no option and reads as it is: it neither is empty nor begins with `-` or a space, and holds no line break.
    Any,
}

impl Word {
    fn fits(&self, typed: &str) -> bool {
        match self {
            Word::Of(words) => words.iter().any(|word| word == typed),
            Word::Any => {
                let odd = |c: char| c == '-' || c.is_whitespace();
                !typed.is_empty() && !typed.starts_with(odd) && !typed.contains(char::is_control)
            }
        }
    }
}

impl DeclaredCommand {
    /// Whether a command is this one.
    #[must_use]
    pub fn fits(&self, command: &[String]) -> bool {
        let length = if self.open { command.len() >= self.words.len() } else { command.len() == self.words.len() };
        length && self.words.iter().zip(command).all(|(word, typed)| word.fits(typed))
    }
}

/// Reads the file of declared commands.
///
/// ```yaml
/// commands:
///   - id: restart_unit
///     description: Restarts a service of this machine.
///     command: [systemctl, [restart, reload], '*']
///     repeatable: true
/// ```
/// A word of `command` stands for itself, a list for any of its words, `'*'` for any word of one line that is no option, and `'...'`
/// at the end for whatever follows.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn read_commands(file: &str, bytes: &[u8]) -> Result<Vec<DeclaredCommand>, Vec<Problem>> {
    let node = writ_text::read(file, bytes, &writ_text::Limits::default())?;
    let problems = Problems::new();
    let commands = document(&node, &problems);
    problems.result(commands)
}

fn document(node: &Node, problems: &Problems) -> Option<Vec<DeclaredCommand>> {
    let mut fields = node.fields("the file", problems)?;
    let items = fields.items("commands").unwrap_or_default();
    fields.done();
    if items.len() > COMMANDS_MAX {
        problems.say(&node.at, format!("there are {} commands, and {COMMANDS_MAX} can be declared", items.len()));
        return None;
    }
    let mut found: Vec<DeclaredCommand> = Vec::with_capacity(items.len());
    for item in items {
        let Some(one) = command(item, problems) else { continue };
        if found.iter().any(|other| other.id == one.id) {
            problems.say(&item.at, format!("there is another command `{}`", one.id));
        }
        found.push(one);
    }
    Some(found)
}

fn command(node: &Node, problems: &Problems) -> Option<DeclaredCommand> {
    let mut fields = node.fields("the command", problems)?;
    let id = fields.text("id").map(str::to_owned);
    let description = fields.maybe_text("description").unwrap_or_default().to_owned();
    let repeatable = fields.maybe_bool("repeatable").unwrap_or(false);
    let typed = fields.items("command");
    if let Some(Err(refused)) = id.clone().map(action_name) {
        fields.say("id", refused.to_string());
    }
    fields.done();
    let (id, typed) = (id?, typed?);
    let (typed, open) = match typed.split_last() {
        Some((last, before)) if is_text(last, "...") => (before, true),
        _ => (typed, false),
    };
    if typed.is_empty() || typed.len() > WORDS_MAX {
        problems.say(&node.at, format!("`command` has 1 to {WORDS_MAX} words, the program first"));
        return None;
    }
    let words: Vec<Word> = typed.iter().filter_map(|node| word(node, problems)).collect();
    if words.first() == Some(&Word::Any) {
        problems.say(&node.at, "the program of a command is named, not `*`: whatever was typed would be this command");
    }
    Some(DeclaredCommand { id, description, repeatable, words, open })
}

fn is_text(node: &Node, wanted: &str) -> bool {
    matches!(&node.value, Value::Text { value, .. } if value == wanted)
}

fn word(node: &Node, problems: &Problems) -> Option<Word> {
    if matches!(node.value, Value::List(_)) {
        let words: Vec<String> = node.texts(problems)?.into_iter().map(str::to_owned).collect();
        if words.is_empty() {
            problems.say(&node.at, "a place that no word fits: the list is empty");
        }
        return Some(Word::Of(words));
    }
    match node.text(problems)? {
        "*" => Some(Word::Any),
        "..." => {
            problems.say(&node.at, "`...` stands at the end alone: what follows it could be anything");
            None
        }
        text => Some(Word::Of(vec![text.to_owned()])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn one(command: &str) -> DeclaredCommand {
        let text = format!("commands: [{{ id: it, command: {command} }}]");
        read_commands("commands.yaml", text.as_bytes()).unwrap().remove(0)
    }

    #[test]
    fn a_declaration_fits_what_it_says_and_nothing_else() {
        let cases = [
            ("[uptime]", "uptime", true),
            ("[uptime]", "uptime -p", false),
            ("[uptime]", "/tmp/uptime", false),
            ("[systemctl, [restart, reload], '*']", "systemctl reload web", true),
            ("[systemctl, [restart, reload], '*']", "systemctl stop web", false),
            ("[systemctl, [restart, reload], '*']", "systemctl restart --root=/", false),
            ("[systemctl, [restart, reload], '*']", "systemctl restart web db", false),
            ("[systemctl, [restart, reload], '*']", "systemctl restart ", false),
            ("[systemctl, [restart, reload], '*']", "systemctl restart web\ndb", false),
            ("[systemctl, [restart, reload], '*']", "systemctl restart \tweb", false),
            ("[systemctl, [restart, reload], '*']", "systemctl restart \u{7f}", false),
            ("[make, -C, '*', '...']", "make -C site", true),
            ("[make, -C, '*', '...']", "make -C site all -j2", true),
            ("[make, -C, '*', '...']", "make -C", false),
        ];
        for (declared, typed, fits) in cases {
            assert_eq!(one(declared).fits(&words(typed)), fits, "{declared}: {typed}");
        }
    }

    #[test]
    fn what_declares_nothing_that_can_be_told_apart_is_refused_with_its_place() {
        let said = |text: &str| match read_commands("commands.yaml", text.as_bytes()) {
            Ok(found) => format!("{found:?}"),
            Err(problems) => {
                problems.iter().map(|one| format!("{}: {}", one.at, one.message)).collect::<Vec<_>>().join("\n")
            }
        };
        for (text, wanted) in [
            ("commands: [{ id: it, command: ['*'] }]", "the program of a command is named"),
            ("commands: [{ id: it, command: [] }]", "1 to 64 words"),
            ("commands: [{ id: it, command: [a, '...', b] }]", "`...` stands at the end alone"),
            ("commands: [{ id: it, command: [a, []] }]", "the list is empty"),
            ("commands: [{ id: It, command: [a] }]", "`It` is no name for an action"),
            ("commands: [{ id: deploy_instances, command: [a] }]", "what writ itself does"),
            ("commands: [{ id: it, command: [a] }, { id: it, command: [b] }]", "another command `it`"),
            ("commands: [{ id: it, command: [a], repeat: true }]", "repeat"),
            ("commands: [{ command: [a] }]", "`id`"),
        ] {
            let told = said(text);
            assert!(told.contains(wanted) && told.contains("commands.yaml:1:"), "{text}: {told}");
        }
    }
}
