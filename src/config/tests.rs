use playhouse_actors::{BotMaker, TcpService};

use super::*;

fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("my.toml");
    std::fs::write(&path, toml).unwrap();
    let overrides = Overrides {
        file: Some(path),
        ..Overrides::default()
    };
    Config::from_layers(&overrides, variables(environment))
}

fn variables(environment: &[(&str, &str)]) -> Environment {
    let variables = environment
        .iter()
        .map(|(k, v)| (k.to_string(), v.to_string()));
    Environment::with_prefix("PLAYHOUSE")
        .prefix_separator("__")
        .separator("__")
        .try_parsing(true)
        .list_separator(",")
        .with_list_parse_key("server.allow")
        .with_list_parse_key("web.hosts")
        .source(Some(variables.collect()))
}

/// The configuration of a program that adds things, or its faults.
fn program(overrides: Overrides, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_layers(&overrides, variables(environment))
}

fn keys(pairs: &[(&str, Setting)]) -> Keys {
    let pair = |(key, value): &(&str, Setting)| ((*key).to_owned(), value.clone().value());
    pairs.iter().map(pair).collect()
}

fn fault(toml: &str, environment: &[(&str, &str)]) -> String {
    load(toml, environment).unwrap_err().to_string()
}

#[test]
fn the_defaults_are_complete_and_follow_their_own_rules() {
    let config = load("", &[]).unwrap();
    assert_eq!(config.settings().videochat, Some(10000));
    assert_eq!(config.settings().chatroom, Some(1234));
    assert!(
        config
            .server
            .allow
            .iter()
            .all(|net| !net.contains(&IpAddr::from([8, 8, 8, 8])))
    );
}

#[test]
fn later_layers_win() {
    let config = load(
        "[videochat]\nport = 7\n[chatroom]\nport = 8",
        &[
            ("PLAYHOUSE__CHATROOM__PORT", "9"),
            ("PLAYHOUSE__SERVER__ALLOW", "127.0.0.0/8,::1/128"),
        ],
    )
    .unwrap();
    let settings = config.settings();
    assert_eq!((settings.videochat, settings.chatroom), (Some(7), Some(9)));
    assert_eq!(settings.allow.len(), 2);
}

#[test]
fn faults_name_the_key_the_file_and_the_rule() {
    let text = fault("[serer]\nbind = 1", &[]);
    assert!(
        text.starts_with("serer.bind (set in ") && text.ends_with("my.toml): there is no such key"),
        "{text}"
    );
    let text = fault("", &[("PLAYHOUSE__VIDEOCHAT__PROT", "1")]);
    assert_eq!(
        text,
        "videochat.prot (set in the environment): there is no such key"
    );
    let text = fault("[streaming]\njpeg_quality = 101", &[]);
    assert!(
        text.contains("streaming.jpeg_quality (set in ") && text.ends_with("1 to 100"),
        "{text}"
    );
    let text = fault("[videochat]\nport = 70000", &[]);
    assert!(text.contains("videochat.port (set in "), "{text}");
    let text = fault("[streaming]\npace = \"slow\"", &[]);
    assert!(
        text.contains("streaming.pace") && text.contains("slow"),
        "{text}"
    );
    let text = fault("[server]\nallow = [\"10.0.0.0/99\"]", &[]);
    assert!(text.contains("server.allow"), "{text}");
    let text = fault("[log]\nlevel = \"info,=loud\"", &[]);
    assert!(text.contains("log.level"), "{text}");
    let text = fault("[log]\nlevel = \"loud\"", &[]);
    assert!(
        text.contains("log.level") && text.contains("debug"),
        "{text}"
    );
    let text = fault("[server\n", &[]);
    assert!(text.contains("my.toml"), "{text}");
}

#[test]
fn every_fault_is_told_at_once() {
    let error = load(
        "[chatroom]\nlegacy_gap_ms = 5000\n[limits]\ngoodbye_s = 0",
        &[],
    )
    .unwrap_err();
    assert_eq!(error.0.len(), 2, "{error}");
}

#[test]
fn a_program_presets_sets_and_is_held_to_the_rules() {
    let overrides = || Overrides {
        defaults: keys(&[
            ("chatroom.port", 5.into()),
            ("videochat.port", 6.into()),
            ("server.allow", vec!["10.1.0.0/16"].into()),
        ]),
        program: keys(&[("lan_chat.port", 7.into())]),
        ..Overrides::default()
    };
    let settings = program(
        overrides(),
        &[
            ("PLAYHOUSE__CHATROOM__PORT", "8"),
            ("PLAYHOUSE__LAN_CHAT__PORT", "9"),
        ],
    )
    .unwrap()
    .settings();
    assert_eq!(settings.chatroom, Some(8));
    assert_eq!(settings.videochat, Some(6));
    assert_eq!(settings.lan_chat, Some(7));
    assert_eq!(settings.allow, ["10.1.0.0/16".parse().unwrap()]);
    let mut wrong = overrides();
    wrong.program.extend(keys(&[
        ("limits.goodbye_s", 0.into()),
        ("bot.kind", "oracle".into()),
    ]));
    assert_eq!(
        program(wrong, &[]).unwrap_err().to_string(),
        "limits.goodbye_s (set in the program): 1 to 60 seconds\n\
         bot.kind (set in the program): \"oracle\": house, echo or openai"
    );
    let mut wrong = overrides();
    wrong.defaults.extend(keys(&[
        ("videochat.prot", 1.into()),
        ("streaming.pace", "slow".into()),
    ]));
    let text = program(wrong, &[]).unwrap_err().to_string();
    assert!(
        text.contains("videochat.prot (set in the program): there is no such key"),
        "{text}"
    );
    assert!(
        text.contains("streaming.pace (set in the program): \"slow\": realtime or fast"),
        "{text}"
    );
}

#[test]
fn the_last_bot_is_the_houses_unless_somebody_says_otherwise() {
    let overrides = || {
        let maker = BotMaker::default;
        let extensions = Extensions {
            bots: vec![("parrot", maker()), ("mime", maker())],
            ..Extensions::default()
        };
        Overrides {
            extensions,
            ..Overrides::default()
        }
    };
    for (kind, environment) in [
        ("mime", &[][..]),
        ("parrot", &[("PLAYHOUSE__BOT__KIND", "parrot")]),
        ("house", &[("PLAYHOUSE__BOT__KIND", "house")]),
    ] {
        assert_eq!(program(overrides(), environment).unwrap().bot.kind(), kind);
    }
    let wrong = [("PLAYHOUSE__BOT__KIND", "mim")];
    assert_eq!(
        program(overrides(), &wrong).unwrap_err().to_string(),
        "bot.kind (set in the environment): \"mim\": house, echo, openai, parrot or mime"
    );
}

#[test]
fn a_service_has_a_section_of_its_own() {
    let overrides = |name, port| {
        let make = |_, _| -> playhouse_actors::LanChatConnection { unreachable!() };
        let extensions = Extensions {
            services: vec![TcpService::new(name, port, make)],
            ..Extensions::default()
        };
        Overrides {
            extensions,
            ..Overrides::default()
        }
    };
    let ports = |environment: &[(&str, &str)]| {
        let config = program(overrides("shout", 7000), environment).unwrap();
        let services = config.settings().services;
        services.iter().map(|own| own.port).collect::<Vec<_>>()
    };
    assert_eq!(ports(&[]), [7000]);
    assert_eq!(ports(&[("PLAYHOUSE__SHOUT__PORT", "7001")]), [7001]);
    assert_eq!(ports(&[("PLAYHOUSE__SHOUT__ENABLED", "false")]), [0; 0]);
    for (name, port, environment, text) in [
        (
            "shout",
            8888,
            &[][..],
            "shout.port (set in the program): lan_chat.port has the same; \
             two services can't share a port",
        ),
        (
            "shout",
            1,
            &[("PLAYHOUSE__SHOUT__PORT", "70000")],
            "shout.port (set in the environment): \"70000\": invalid",
        ),
        ("house", 1, &[], "the service \"house\": the name is taken"),
        ("files", 1, &[], "the service \"files\": the name is taken"),
        (
            "Shout",
            1,
            &[],
            "the service \"Shout\": a name is a small letter",
        ),
        (
            "a__b",
            1,
            &[],
            "the service \"a__b\": a name is a small letter",
        ),
    ] {
        let faults = program(overrides(name, port), environment).unwrap_err();
        assert!(faults.to_string().starts_with(text), "{faults}");
    }
}
