//! Contract files that are wrong, with what is said about them: `tests/cases/bad/*.yaml`, the expected lines in comments.

use std::path::PathBuf;
use writ_contracts::{read_contract, read_needs};

#[test]
fn every_bad_file_is_told_what_is_wrong_with_it() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases/bad");
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut wrong = Vec::new();
    for path in &files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let wanted: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("#! ")).collect();
        let problems = if name.starts_with("needs") {
            read_needs(name, text.as_bytes()).map(drop).unwrap_err()
        } else {
            read_contract(name, text.as_bytes()).map(drop).unwrap_err()
        };
        let told: Vec<String> =
            problems.iter().map(|problem| problem.to_string().replacen(&format!("{name}:"), "", 1)).collect();
        if told != wanted {
            wrong.push(format!("{name}:\n  told   {told:#?}\n  wanted {wanted:#?}"));
        }
    }
    assert!(files.len() >= 15, "{}", files.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    for bytes in [&b"\xff\xfe\x00"[..], b"", b"contract:", b"[1, 2", b"contract: {a: &a [*a]}"] {
        assert!(!read_contract("c.yaml", bytes).map(drop).unwrap_err().is_empty());
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[a-z:{}\\[\\]$#/ \n'0-9.-]{0,200}") {
        let _ = read_contract("c.yaml", text.as_bytes());
        let _ = read_contract("c.yaml", format!("contract:\n  messages: {{a: {{schema: {{{text}}}}}}}").as_bytes());
        let _ = read_needs("n.yaml", text.as_bytes());
    }
}
