use super::*;
use std::fs;

type Flags<'a> = &'a [(&'a str, &'a str, &'a str)];

fn resolve(file: Option<&str>, environment: &[(&str, &str)], flags: Flags<'_>) -> Result<Resolved, Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("writ.toml");
    if let Some(text) = file {
        fs::write(&path, text).unwrap();
    }
    let owned = |text: &&str| (*text).to_owned();
    let flags: Vec<_> = flags.iter().map(|(flag, key, value)| (owned(flag), owned(key), owned(value))).collect();
    let environment = |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, text)| owned(text));
    let sources = Sources { file: file.map(|_| path.as_path()), environment: &environment, flags: &flags };
    let told = |problem: Problem| problem.to_string().replace(&format!("{}/", dir.path().display()), "");
    Resolved::of(Config::standard(), &sources).map_err(|problems| problems.into_iter().map(told).collect())
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_the_right_form() {
    for (file, told) in [
        (
            "lissten = \"127.0.0.1:1\"",
            "writ.toml:1:1: the configuration does not know `lissten`; did you mean `listen`?",
        ),
        (
            "console = true\n[limits]\nconections = 9\n",
            "writ.toml:3:1: the configuration does not know `limits.conections`; did you mean `limits.connections`?",
        ),
        (
            "[tsl]\ncert = \"x\"",
            "writ.toml:1:2: the configuration does not know `tsl`; `writ config show` lists every key",
        ),
        (
            "limits.connections = \"many\"",
            "writ.toml:1:23: `limits.connections` is `\"many\"`, which is not a number from 8 to 100000, without quotes",
        ),
        (
            "limits.connections = 7",
            "writ.toml:1:22: `limits.connections` is `7`, which is not a number from 8 to 100000",
        ),
        (
            "limits.connections = 9.5",
            "writ.toml:1:22: `limits.connections` is `9.5`, which is not a number from 8 to 100000, without quotes",
        ),
        (
            "console = \"true\"",
            "writ.toml:1:12: `console` is `\"true\"`, which is not `true` or `false`, without quotes",
        ),
        (
            "listen = 7420",
            "writ.toml:1:10: `listen` is `7420`, which is not an address and a port, such as `127.0.0.1:7420`, in quotes",
        ),
        (
            "listen = \"localhost\"",
            "writ.toml:1:11: `listen` is `\"localhost\"`, which is not an address and a port, such as `127.0.0.1:7420`",
        ),
        ("log.format = \"xml\"", "writ.toml:1:15: `log.format` is `\"xml\"`, which is not one of `text`, `json`"),
        ("state = \"\"", "writ.toml:1:9: `state` is `\"\"`, which is not a path"),
        ("files = [\"a\"]", "writ.toml:1:9: `files` is a list, which is not a path, in quotes"),
        (
            "[tls]\ncert = \"c.pem\"",
            "writ.toml:2:1: `tls.cert` is given and `tls.key` is not; give both for TLS, or neither",
        ),
        (
            "[notify.webhook]\nurl = \"https://hooks.example/x\"",
            "writ.toml:2:1: `notify.webhook.url` is given and `notify.webhook.secret_file` is not; give both for a webhook, or neither",
        ),
        (
            "[notify.smtp]\nserver = \"mail.example:587\"\nto = \"ops@writ.example\"",
            "writ.toml:2:1: `notify.smtp.server` is given and `notify.smtp.from` is not; give all three for mail, or none",
        ),
        (
            "notify.webhook.secret = \"whsec_x\"",
            "writ.toml:1:16: the configuration does not know `notify.webhook.secret`; did you mean `notify.webhook.secret_file`?",
        ),
        (
            "notify.level = \"urgent\"",
            "writ.toml:1:17: `notify.level` is `\"urgent\"`, which is not one of `info`, `low`, `medium`, `high`, `critical`",
        ),
        (
            "public_url = \"writ.example\"",
            "writ.toml:1:15: `public_url` is `\"writ.example\"`, which is not a URL without credentials, such as `https://writ.example`",
        ),
        (
            "public_url = \"https://ada:word@writ.example\"",
            "writ.toml:1:15: `public_url` is `\"https://ada:word@writ.example\"`, which is not a URL without credentials, such as `https://writ.example`",
        ),
        (
            "a = 1\na = 2",
            "writ.toml:2:1: this is not TOML: duplicate key: `a`; strings stand in quotes: listen = \"127.0.0.1:7420\"",
        ),
        (
            "listen = 127.0.0.1:7420",
            "writ.toml:1:15: this is not TOML: expected newline, found a period; strings stand in quotes: listen = \"127.0.0.1:7420\"",
        ),
    ] {
        assert_eq!(resolve(Some(file), &[], &[]).map(|_| ()), Err(vec![told.to_owned()]), "{file}");
    }
}

#[test]
fn what_is_wrong_beside_the_file_is_told_with_the_name_that_was_used() {
    let told = resolve(None, &[("WRIT_CONSOLE", "maybe")], &[("--set", "metrcs", "true"), ("--listen", "listen", "x")]);
    let expected = [
        "environment:1:1: `WRIT_CONSOLE` is `maybe`, which is not `true` or `false`",
        "command line:1:1: the configuration does not know `metrcs`; did you mean `metrics`?",
        "command line:1:1: `--listen` is `x`, which is not an address and a port, such as `127.0.0.1:7420`",
    ];
    assert_eq!(told.unwrap_err(), expected);
}

#[test]
fn flags_stand_over_the_environment_over_the_file_over_what_is_built_in() {
    let file = "log.level = \"info\"\n[limits]\nconnections = 10\nbody_bytes = 2000\ndrain_seconds = 1\n";
    let environment = [("WRIT_LIMITS_CONNECTIONS", "20"), ("WRIT_LIMITS_BODY_BYTES", "4000")];
    let resolved = resolve(Some(file), &environment, &[("--set", "limits.connections", "30")]).unwrap();
    let limits = &resolved.config.limits;
    assert_eq!((limits.connections, limits.body_bytes, limits.drain_seconds), (30, 4_000, 1));
    let settings = resolved.settings();
    let origin = |key: &str| settings.iter().find(|one| one.key == key).unwrap().origin.to_string();
    assert_eq!(origin("limits.connections"), "flag --set");
    assert_eq!(origin("limits.body_bytes"), "environment WRIT_LIMITS_BODY_BYTES");
    assert!(origin("limits.drain_seconds").ends_with("writ.toml:5:1"), "{}", origin("limits.drain_seconds"));
    assert_eq!(origin("limits.header_bytes"), "default");
}

#[test]
fn a_relative_path_of_the_file_is_beside_the_file_and_one_of_a_flag_is_not() {
    let file = "state = \"state\"\nfiles = \"/srv/files\"\n[tls]\ncert = \"c\"\nkey = \"k\"";
    let config = resolve(Some(file), &[], &[("--set", "tls.key", "mine")]).unwrap().config;
    assert!(config.state.is_absolute() && config.state.ends_with("state"), "{:?}", config.state);
    assert_eq!(config.files, Path::new("/srv/files"));
    assert!(config.tls.cert.unwrap().is_absolute());
    assert_eq!(config.tls.key.unwrap(), Path::new("mine"));
}

#[test]
fn every_value_that_is_shown_is_taken_back() {
    let resolved = resolve(None, &[], &[]).unwrap();
    let settings = resolved.settings();
    let given: Vec<_> =
        settings.iter().filter_map(|one| Some(("--set".to_owned(), one.key.to_owned(), one.value.clone()?))).collect();
    let sources = Sources { file: None, environment: &|_| None, flags: &given };
    assert_eq!(Resolved::of(Config::dev(), &sources).unwrap().config, resolved.config);
}

#[test]
fn no_file_is_needed_and_one_that_is_named_must_be_there() {
    assert_eq!(resolve(None, &[], &[]).unwrap().config, Config::standard());
    let missing = Path::new("/nowhere/writ.toml");
    let sources = Sources { file: Some(missing), environment: &|_| None, flags: &[] };
    let told = Resolved::of(Config::standard(), &sources).unwrap_err();
    assert_eq!(told[0].to_string(), "/nowhere/writ.toml:1:1: there is no such file");
}

#[test]
fn the_page_of_the_configuration_has_the_table_of_keys() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md")).unwrap();
    assert!(page.contains(&table()), "the table should read:\n{}", table());
}
