//! Services and routes as an operator writes them, and what is said where they are wrong.

use std::cell::RefCell;
use std::io;
use std::path::PathBuf;

use control::settings::include::Files;
use control::watch::Mark;

use super::*;

/// Files in memory; those that were asked for are noted.
struct Memory<'a> {
    files: &'a [(&'a str, &'a [u8])],
    asked: RefCell<Vec<PathBuf>>,
}

impl Files for Memory<'_> {
    fn read(&self, file: &Path) -> io::Result<String> {
        self.asked.borrow_mut().push(file.to_owned());
        let found = self.files.iter().find(|(name, _)| Path::new(name) == file).ok_or(io::ErrorKind::NotFound)?;
        Ok(String::from_utf8_lossy(found.1).into_owned())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let paths = self.files.iter().map(|(name, _)| PathBuf::from(name));
        Ok(paths.filter(|path| path.parent() == Some(folder)).collect())
    }

    fn mark(&self, _: &Path) -> Option<Mark> {
        None
    }

    fn working_folder(&self) -> PathBuf {
        PathBuf::from("/")
    }
}

fn load_files(files: &[(&str, &[u8])], arguments: &[&str]) -> Result<Invocation<EdgeSettings>, SettingsErrors> {
    let main = files[0].0;
    let files = Memory { files, asked: RefCell::default() };
    let arguments = ["--config", main].iter().chain(arguments).map(OsString::from).collect();
    load(&SettingsSources { arguments, environment: Vec::new(), files: &files })
}

fn settings_of(files: &[(&str, &[u8])]) -> Loaded<EdgeSettings> {
    match load_files(files, &[]) {
        Ok(Invocation::Serve(loaded)) => *loaded,
        other => panic!("the settings are valid: {:?}", other.err()),
    }
}

fn errors_of(files: &[(&str, &[u8])]) -> Vec<String> {
    let errors = load_files(files, &[]).expect_err("the settings are not valid");
    errors.to_string().lines().map(str::to_owned).collect()
}

const MAIN: &[u8] = br#"
include = ["sites/*.toml"]
[service.app]
answer = { text = "hi", status = 200 }
[service.down]
answer = { status = 503, file = "down.html", retry_after = "30s" }
[kv]
hosts = ["kv.example.com", "*.internal"]
"#;

const SHOP: &[u8] = br#"
[[route]]
host = ["shop.example.com", "*.shop.example.com"]
service = "app"
[[route]]
host = "shop.example.com"
path = "/api/orders/{id}"
method = ["GET", "PUT"]
header = { Accept = "application/json*" }
scheme = "https"
service = "down"
[[route]]
path = "/old/{*rest}"
[route.header]
X-Old = "*"
[route.redirect]
to = "/new/{rest}"
status = 301
"#;

const SITE: &[(&str, &[u8])] =
    &[("etc/main.toml", MAIN), ("etc/down.html", b"<p>\xff</p>"), ("etc/sites/shop.toml", SHOP)];

#[test]
fn services_and_routes_are_read_from_all_files() {
    let loaded = settings_of(SITE);
    let table = crate::settings::gateway::route_table(&loaded.settings);
    let places: Vec<String> = table.routes().iter().map(|route| format!("{} {}", route.place, route.path)).collect();
    let expected = [
        "etc/sites/shop.toml:3 /{*rest}",
        "etc/sites/shop.toml:7 /api/orders/{id}",
        "etc/sites/shop.toml:13 /old/{*rest}",
    ];
    assert_eq!(places, expected);
    let names: Vec<String> =
        table.services().iter().map(|service| format!("{} {}", service.place, service.name)).collect();
    assert_eq!(names, ["etc/main.toml:3 app", "etc/main.toml:5 down"]);
    assert!(table.narrows_kv() && table.has_kv_on(b"a.internal") && !table.has_kv_on(b"shop.example.com"));
    let header = loaded.settings.route[2].settings.header.as_ref().expect("it is written");
    assert_eq!(header["X-Old"], "*");
}

#[test]
fn what_is_printed_reads_back_as_the_same_routes() {
    let loaded = settings_of(SITE);
    let printed = loaded.effective.to_toml();
    let again = settings_of(&[("etc/main.toml", printed.as_bytes()), ("/etc/down.html", b"<p>\xff</p>")]);
    assert_eq!(again.settings, loaded.settings, "{printed}");
}

#[test]
fn a_body_is_part_of_the_settings() {
    let page = |body: &'static [u8]| {
        let files = [("etc/main.toml", &b"[service.a]\nanswer.file = \"a.png\"\n"[..]), ("etc/a.png", body)];
        settings_of(&files).effective.to_json()
    };
    let (one, other) = (page(b"one"), page(b"other"));
    let changed = control::reload::differences(&one, &other);
    assert_eq!(changed.iter().map(|difference| &*difference.key).collect::<Vec<_>>(), ["service.a.answer.file"]);
    assert!(!changed[0].needs_restart && control::reload::differences(&one, &page(b"one")).is_empty());
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (file, message) in [
        ("[service.app]\n", "etc/main.toml:1: service.app: does nothing; add answer = { … }"),
        (
            "[service.app]\nanswer = { text = \"hi\" }\n[[route]]\npath = \"/\"\nservice = \"ap\"\n",
            "etc/main.toml:5: route[1].service: found \"ap\", allowed: a [service.NAME]; did you mean \"app\" \
             (etc/main.toml:1)?",
        ),
        (
            "[[route]]\nredirect.status = 301\n",
            "etc/main.toml:2: route[1].redirect: has a status, but no target; add to = \"…\"\n\
             etc/main.toml:2: route[1]: leads nowhere; give it service = \"NAME\" or redirect = { to = \"…\" }",
        ),
        (
            "[service.a]\nanswer = { file = \"gone.html\" }\n",
            "etc/main.toml:2: service.a.answer.file: gone.html cannot be used: entity not found",
        ),
        ("[[route]]\nhsot = \"a\"\n", "etc/main.toml:2: route[1].hsot: unknown key; did you mean \"route[1].host\"?"),
        (
            "[[route]]\nheader = { A = 1 }\n",
            "etc/main.toml:2: route[1].header: found { A = 1 }, allowed: 1 to 16 names with texts of at most 2048 bytes \
             ({ NAME = \"text\" })",
        ),
        (
            "[kv]\nhosts = \"kv.example:80\"\n",
            "etc/main.toml:2: kv.hosts: found \"kv.example:80\", allowed: a host without a port, such as \
             \"shop.example.com\", \"*.example.com\" or \"*\"",
        ),
    ] {
        let lines = errors_of(&[("etc/main.toml", file.as_bytes())]);
        let found = lines.join("\n").replace("etc/gone.html", "gone.html");
        assert_eq!(found, message, "{file}");
    }
    let large = vec![b'x'; (64 << 10) + 1];
    let file = b"[service.a]\nanswer.file = \"a.txt\"\n";
    let lines = errors_of(&[("etc/main.toml", file), ("etc/a.txt", &large)]);
    assert!(lines[0].ends_with("a.txt cannot be used: it has more than 65536 bytes"), "{lines:?}");
}

#[test]
fn many_routes_of_many_files_are_read_in_time() {
    let text: String =
        (0..16_000).map(|number| format!("[[route]]\npath = \"/{number}\"\nredirect.to = \"/\"\n")).collect();
    let loaded = settings_of(&[("etc/main.toml", text.as_bytes())]);
    assert_eq!(crate::settings::gateway::route_table(&loaded.settings).routes().len(), 16_000);
    assert_eq!(loaded.settings.route[15_999].place_of("path"), "etc/main.toml:47999");
}

#[test]
fn a_request_is_explained() {
    let explained = |request| match load_files(SITE, &["--explain", request]) {
        Ok(Invocation::Print(text)) => text,
        Ok(_) => panic!("an explanation was asked for"),
        Err(errors) => errors.to_string(),
    };
    assert_eq!(
        explained("GET https://SHOP.example.com/a/../old/x?q\nX-Old: 1"),
        "request: https, host shop.example.com, path /old/x, query q\n\
         etc/sites/shop.toml:3: route[1] (shop.example.com, /{*rest}): wins\n\
         etc/sites/shop.toml:13: route[3] (every host, /old/{*rest}): lost: less specific\n\
         result: the service \"app\" answers 200\n"
    );
    assert_eq!(
        explained("nonsense"),
        "command line: --explain: a method and a URL are needed, such as \"GET https://example.com/path\""
    );
}

/// The TOML of docs/proxy.md, and what it says that the first of it does.
#[test]
fn the_examples_of_the_document_are_valid() {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/proxy.md")).unwrap();
    let blocks = |language: &str| -> Vec<String> {
        let fence = format!("```{language}\n");
        document.split(&*fence).skip(1).map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
    };
    let examples = blocks("toml");
    assert!(examples.len() >= 3);
    let load_example = |example: &str, arguments: &[&str]| {
        load_files(&[("corelane.toml", example.as_bytes()), ("down.html", b"down")], arguments)
    };
    for example in &examples {
        let loaded = load_example(example, &[]);
        assert!(loaded.is_ok(), "{:?}: {example}", loaded.err());
    }
    let request = "GET https://shop.example.com/old/a?q=1";
    let explained = match load_example(&examples[0], &["--explain", request]) {
        Ok(Invocation::Print(text)) => text,
        other => panic!("{:?}", other.err()),
    };
    assert!(document.contains(&format!("--explain '{request}'")));
    assert!(blocks("text").contains(&explained), "{explained}");
}
