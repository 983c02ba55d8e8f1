//! An ACME directory over HTTPS that follows RFC 8555 until its script says otherwise.
//!
//! **Not** lenient: what no client may do is refused, and noted in [`Book::violations`].
//!
//! **Source**: RFC 8555 section 7.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::jws::{AccountKey, Signed, decoded};
use crate::look::{SOCKET_TIME, fetch, identifier, provider};

const DAY: Duration = Duration::from_secs(86_400);

/// What is asked of the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AcmeStep {
    /// The directory itself.
    Directory,
    /// A nonce.
    Nonce,
    /// An account, found or made.
    Account,
    /// A new order.
    NewOrder,
    /// What is to be proved for a domain.
    Authorization,
    /// A look at a challenge.
    Challenge,
    /// The state of an order.
    Order,
    /// A certificate, with a request for it.
    Finalize,
    /// The chain.
    Certificate,
    /// When a certificate is best renewed.
    RenewalInfo,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// The connection ends without an answer.
    Cut,
    /// The connection ends within the answer.
    CutHalf,
    /// The connection stays, without an answer.
    Silence,
    /// An answer that is no JSON, with status 200.
    Garbage,
    /// An answer that is longer than anybody needs.
    Huge,
    /// The nonce is not taken.
    BadNonce,
    /// A problem: status, type, and when to come again.
    Problem(u16, &'static str, Option<&'static str>),
    /// An answer of a gateway before the directory: status, and when to come again.
    Gateway(u16, Option<&'static str>),
    /// The true answer, with this body.
    Body(String),
    /// The true answer, with this field.
    RetryAfter(&'static str),
}

/// What the directory knows and is told.
pub struct Book {
    /// Troubles, each for so many requests of its step.
    pub script: Vec<(AcmeStep, Trouble, usize)>,
    /// Everything that was asked, in order.
    pub log: Vec<AcmeStep>,
    /// Domains of all orders, in order; whether they replace a certificate.
    pub ordered: Vec<(BTreeSet<String>, bool)>,
    /// Days that certificates have been valid, and will be; the last one stays.
    pub validity: Vec<(u32, u32)>,
    /// Challenges that are offered.
    pub offered: Vec<&'static str>,
    /// A token instead of a good one.
    pub token: Option<&'static str>,
    /// Answers "processing" after a request for a certificate.
    pub processing: usize,
    /// The windows of renewal information, in days from now; the last one stays. Without any the directory has no such thing.
    pub windows: Vec<(i64, i64)>,
    /// What a client did that no client may do.
    pub violations: Vec<String>,
    /// Contacts of accounts, as they were given.
    pub contacts: Vec<Value>,
    accounts: Vec<AccountKey>,
    nonces: BTreeSet<String>,
    orders: Vec<BookOrder>,
    count: u64,
}

#[derive(Default)]
struct BookOrder {
    domains: Vec<String>,
    /// State of each domain's challenge: none yet, or whether it was shown.
    shown: BTreeMap<usize, bool>,
    processing: usize,
    chain: Option<String>,
    replaces: Option<Value>,
}

/// Where every domain leads.
#[derive(Clone, Copy, Debug)]
pub struct DomainAddresses {
    /// Instead of port 80.
    pub http: SocketAddr,
    /// Instead of port 443.
    pub tls: SocketAddr,
}

/// The directory. It ends with the test.
pub struct ScriptedDirectory {
    /// Its URL.
    pub url: String,
    /// PEM of the authority that the directory's own certificate and all others are from.
    pub root: String,
    /// What it knows and is told.
    pub book: Arc<Mutex<Book>>,
}

struct Server {
    base: String,
    issuer: Issuer<'static, KeyPair>,
    root: String,
    domains: DomainAddresses,
    book: Arc<Mutex<Book>>,
    config: Arc<ServerConfig>,
}

type Tls = StreamOwned<ServerConnection, TcpStream>;

struct AcmeAnswer {
    status: u16,
    fields: Vec<(&'static str, String)>,
    body: String,
}

fn answer(status: u16, body: &Value) -> AcmeAnswer {
    AcmeAnswer { status, fields: Vec::new(), body: body.to_string() }
}

fn problem(status: u16, kind: &str, detail: &str) -> AcmeAnswer {
    answer(status, &json!({ "type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail }))
}

impl ScriptedDirectory {
    /// Starts one that looks for every domain at `domains`.
    pub fn start(domains: DomainAddresses) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = parameters.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(parameters, key);
        let own_key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&own_key, &issuer).unwrap();
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let key = PrivatePkcs8KeyDer::from(own_key.serialize_der()).into();
        let config = builder.with_no_client_auth().with_single_cert(vec![own.der().clone()], key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let book = Arc::new(Mutex::new(Book::new()));
        let server = Server {
            base: base.clone(),
            issuer,
            root: root.clone(),
            domains,
            book: Arc::clone(&book),
            config: Arc::new(config),
        };
        let server = Arc::new(server);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let server = Arc::clone(&server);
                std::thread::spawn(move || server.serve(stream.unwrap()));
            }
        });
        ScriptedDirectory { url: format!("{base}/directory"), root, book }
    }

    /// Tells what goes wrong with the next `count` requests of a step.
    pub fn script(&self, step: AcmeStep, trouble: Trouble, count: usize) {
        self.book.lock().unwrap().script.push((step, trouble, count));
    }

    /// How often a step was asked for.
    pub fn count(&self, step: AcmeStep) -> usize {
        self.book.lock().unwrap().log.iter().filter(|&&one| one == step).count()
    }

    /// Writes the root's file.
    pub fn root_file(&self, place: &std::path::Path) -> PathBuf {
        let file = place.join("root.pem");
        std::fs::write(&file, &self.root).unwrap();
        file
    }
}

impl Book {
    /// How many accounts were made.
    pub fn account_count(&self) -> usize {
        self.accounts.len()
    }

    fn new() -> Self {
        Book {
            script: Vec::new(),
            log: Vec::new(),
            ordered: Vec::new(),
            validity: vec![(1, 89)],
            offered: vec!["dns-01", "http-01", "tls-alpn-01"],
            token: None,
            processing: 1,
            windows: Vec::new(),
            violations: Vec::new(),
            accounts: Vec::new(),
            contacts: Vec::new(),
            nonces: BTreeSet::new(),
            orders: Vec::new(),
            count: 0,
        }
    }

    fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    fn trouble(&mut self, step: AcmeStep) -> Option<Trouble> {
        let (_, trouble, left) = self.script.iter_mut().find(|(one, _, left)| *one == step && *left > 0)?;
        *left -= 1;
        Some(trouble.clone())
    }
}

impl Server {
    fn serve(&self, stream: TcpStream) {
        stream.set_read_timeout(Some(SOCKET_TIME)).unwrap();
        let mut tls = StreamOwned::new(ServerConnection::new(Arc::clone(&self.config)).unwrap(), stream);
        let Some((method, path, body)) = read_request(&mut tls) else { return };
        let step = step_of(&path);
        let trouble = {
            let mut book = self.book.lock().unwrap();
            book.log.push(step);
            book.trouble(step)
        };
        let answer = match &trouble {
            Some(Trouble::Cut) => return,
            Some(Trouble::Silence) => {
                // Until the client gives up.
                let _ = tls.read(&mut [0]);
                return;
            }
            Some(Trouble::Garbage) => AcmeAnswer { status: 200, fields: Vec::new(), body: "<html>\u{1b}[31m".into() },
            Some(Trouble::Huge) => AcmeAnswer { status: 200, fields: Vec::new(), body: "[1],".repeat(1 << 20) },
            Some(Trouble::BadNonce) => problem(400, "badNonce", "the nonce is old"),
            Some(Trouble::Problem(status, kind, wait)) => {
                let mut answer = problem(*status, kind, "as the script says");
                answer.fields.extend(wait.map(|wait| ("retry-after", wait.to_owned())));
                answer
            }
            Some(Trouble::Gateway(status, wait)) => {
                let fields = wait.map(|wait| ("retry-after", wait.to_owned())).into_iter().collect();
                AcmeAnswer { status: *status, fields, body: "<html>bad gateway</html>".into() }
            }
            Some(Trouble::Body(instead)) => {
                AcmeAnswer { body: instead.clone(), ..self.answer(step, &method, &path, &body) }
            }
            Some(Trouble::RetryAfter(wait)) => {
                let mut answer = self.answer(step, &method, &path, &body);
                answer.fields.push(("retry-after", (*wait).to_owned()));
                answer
            }
            Some(Trouble::CutHalf) | None => self.answer(step, &method, &path, &body),
        };
        self.send(tls, &answer, matches!(trouble, Some(Trouble::CutHalf)));
    }

    fn send(&self, mut tls: Tls, answer: &AcmeAnswer, is_half: bool) {
        let nonce = {
            let mut book = self.book.lock().unwrap();
            let nonce = format!("nonce-{}", book.next());
            book.nonces.insert(nonce.clone());
            nonce
        };
        let AcmeAnswer { status, fields, body } = answer;
        let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        let text = format!(
            "HTTP/1.1 {status} Told\r\nreplay-nonce: {nonce}\r\n{fields}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        let bytes = if is_half { &text.as_bytes()[..text.len() - length / 2 - 1] } else { text.as_bytes() };
        let _ = tls.write_all(bytes);
        tls.conn.send_close_notify();
        let _ = tls.flush();
    }

    fn answer(&self, step: AcmeStep, method: &str, path: &str, body: &[u8]) -> AcmeAnswer {
        match step {
            AcmeStep::Directory => answer(200, &self.directory()),
            AcmeStep::Nonce => AcmeAnswer { status: 200, fields: Vec::new(), body: String::new() },
            AcmeStep::RenewalInfo => self.renewal_info(),
            _ if method != "POST" => problem(405, "malformed", "POST only"),
            _ => match self.signed(step, path, body) {
                Ok((account, payload)) => self.posted(step, path, &account, &payload),
                Err(violation) => {
                    let refusal = problem(400, "malformed", &violation);
                    self.book.lock().unwrap().violations.push(violation);
                    refusal
                }
            },
        }
    }

    fn directory(&self) -> Value {
        let base = &self.base;
        let mut directory = json!({
            "newNonce": format!("{base}/nonce"),
            "newAccount": format!("{base}/account"),
            "newOrder": format!("{base}/new-order"),
            "meta": { "termsOfService": format!("{base}/terms") },
        });
        if !self.book.lock().unwrap().windows.is_empty() {
            directory["renewalInfo"] = json!(format!("{base}/renewal-info"));
        }
        directory
    }

    fn renewal_info(&self) -> AcmeAnswer {
        let (start, end) = {
            let mut book = self.book.lock().unwrap();
            if book.windows.len() > 1 { book.windows.remove(0) } else { book.windows[0] }
        };
        let at = |days| {
            let time = time::OffsetDateTime::now_utc() + time::Duration::days(days);
            time.format(&time::format_description::well_known::Rfc3339).unwrap()
        };
        let mut answer = answer(200, &json!({ "suggestedWindow": { "start": at(start), "end": at(end) } }));
        answer.fields.push(("retry-after", "21600".into()));
        answer
    }

    /// Whose the request is, if everything about its signature is right.
    fn signed(&self, step: AcmeStep, path: &str, body: &[u8]) -> Result<(AccountKey, Value), String> {
        let signed = Signed::read(body);
        let mut book = self.book.lock().unwrap();
        let nonce = signed.header["nonce"].as_str().unwrap_or_default();
        if !book.nonces.remove(nonce) {
            return Err(format!("{path}: nonce {nonce} is not ours"));
        }
        if signed.header["url"] != format!("{}{path}", self.base) {
            return Err(format!("{path}: signed for {}", signed.header["url"]));
        }
        let key = if step == AcmeStep::Account && signed.header["jwk"].is_object() {
            AccountKey::read(&signed.header["jwk"])
        } else {
            let id = signed.header["kid"].as_str().and_then(|id| id.rsplit('/').next()?.parse::<usize>().ok());
            book.accounts.get(id.unwrap_or(usize::MAX)).ok_or(format!("{path}: no account"))?.clone()
        };
        if !signed.is_by(&key) {
            return Err(format!("{path}: signature"));
        }
        Ok((key, signed.payload))
    }

    fn posted(&self, step: AcmeStep, path: &str, account: &AccountKey, payload: &Value) -> AcmeAnswer {
        let numbers: Vec<usize> = path.split('/').filter_map(|part| part.parse().ok()).collect();
        match (step, numbers.as_slice()) {
            (AcmeStep::Account, numbers) => self.account(account, payload, !numbers.is_empty()),
            (AcmeStep::NewOrder, _) => self.new_order(payload),
            (AcmeStep::Order, &[order]) => self.order(order, 200),
            (AcmeStep::Authorization, &[order, domain]) => answer(200, &self.authorization(order, domain)),
            (AcmeStep::Challenge, &[order, domain, kind]) => self.challenge(account, order, domain, kind),
            (AcmeStep::Finalize, &[order]) => self.finalize(order, payload),
            (AcmeStep::Certificate, &[order]) => {
                let chain = self.book.lock().unwrap().orders[order].chain.clone();
                AcmeAnswer { status: 200, fields: Vec::new(), body: chain.unwrap() }
            }
            _ => problem(404, "malformed", "no such thing"),
        }
    }

    fn account(&self, account: &AccountKey, payload: &Value, is_update: bool) -> AcmeAnswer {
        let mut book = self.book.lock().unwrap();
        if is_update {
            book.contacts.push(payload["contact"].clone());
            return answer(200, &json!({ "status": "valid" }));
        }
        if payload["termsOfServiceAgreed"] != true {
            return problem(403, "userActionRequired", "terms");
        }
        let known = book.accounts.iter().position(|one| one.thumbprint == account.thumbprint);
        let index = known.unwrap_or_else(|| {
            book.accounts.push(account.clone());
            book.accounts.len() - 1
        });
        let mut answer = answer(if known.is_some() { 200 } else { 201 }, &json!({ "status": "valid" }));
        answer.fields.push(("location", format!("{}/account/{index}", self.base)));
        answer
    }

    fn new_order(&self, payload: &Value) -> AcmeAnswer {
        let domains: Vec<String> = payload["identifiers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["value"].as_str().unwrap().to_owned())
            .collect();
        let replaces = payload.get("replaces").cloned();
        let index = {
            let mut book = self.book.lock().unwrap();
            book.ordered.push((domains.iter().cloned().collect(), replaces.is_some()));
            let processing = book.processing;
            book.orders.push(BookOrder { domains, processing, replaces, ..BookOrder::default() });
            book.orders.len() - 1
        };
        let mut answer = self.order(index, 201);
        answer.fields.push(("location", format!("{}/order/{index}", self.base)));
        answer
    }

    fn order(&self, index: usize, status: u16) -> AcmeAnswer {
        let base = &self.base;
        let mut book = self.book.lock().unwrap();
        let order = &mut book.orders[index];
        let state = if order.shown.values().any(|is_shown| !is_shown) {
            "invalid"
        } else if order.chain.is_some() && order.processing == 0 {
            "valid"
        } else if order.chain.is_some() {
            order.processing -= 1;
            "processing"
        } else if order.shown.len() == order.domains.len() {
            "ready"
        } else {
            "pending"
        };
        let authorizations: Vec<String> =
            (0..order.domains.len()).map(|domain| format!("{base}/authorization/{index}/{domain}")).collect();
        let mut body = json!({
            "status": state,
            "authorizations": authorizations,
            "finalize": format!("{base}/finalize/{index}"),
        });
        if state == "valid" {
            body["certificate"] = json!(format!("{base}/certificate/{index}"));
        }
        if let Some(replaces) = &order.replaces {
            body["replaces"] = replaces.clone();
        }
        answer(status, &body)
    }

    fn authorization(&self, order: usize, domain: usize) -> Value {
        let book = self.book.lock().unwrap();
        let shown = book.orders[order].shown.get(&domain);
        let status = shown.map_or("pending", |&is_shown| if is_shown { "valid" } else { "invalid" });
        let challenges: Vec<Value> = book.offered.iter().enumerate().map(|(kind, &name)| {
            let url = format!("{}/challenge/{order}/{domain}/{kind}", self.base);
            let mut challenge = json!({ "type": name, "url": url, "token": book.token.map_or_else(|| token(order, domain), str::to_owned), "status": status });
            if shown == Some(&false) {
                challenge["error"] = json!({ "type": "urn:ietf:params:acme:error:unauthorized", "detail": "the proof was not there" });
            }
            challenge
        }).collect();
        let name = &book.orders[order].domains[domain];
        json!({ "status": status, "identifier": { "type": "dns", "value": name }, "challenges": challenges })
    }

    /// Looks at the edge, as told by the client.
    fn challenge(&self, account: &AccountKey, order: usize, domain: usize, kind: usize) -> AcmeAnswer {
        let (name, kind) = {
            let book = self.book.lock().unwrap();
            (book.orders[order].domains[domain].clone(), book.offered[kind])
        };
        let token = token(order, domain);
        let expected = format!("{token}.{}", account.thumbprint);
        let is_shown = match kind {
            "http-01" => fetch(self.domains.http, &name, &token).as_deref() == Some(expected.as_str()),
            _ => {
                let expected = [&[4, 32], digest(&SHA256, expected.as_bytes()).as_ref()].concat();
                identifier(self.domains.tls, &name) == Some(expected)
            }
        };
        self.book.lock().unwrap().orders[order].shown.insert(domain, is_shown);
        answer(200, &json!({ "type": kind, "url": "u", "token": token, "status": "processing" }))
    }

    fn finalize(&self, order: usize, payload: &Value) -> AcmeAnswer {
        let csr = decoded(&payload["csr"]);
        let mut request = CertificateSigningRequestParams::from_der(&csr.into()).unwrap();
        {
            let mut book = self.book.lock().unwrap();
            let validity = if book.validity.len() > 1 { book.validity.remove(0) } else { book.validity[0] };
            request.params.not_before = (SystemTime::now() - DAY * validity.0).into();
            request.params.not_after = (SystemTime::now() + DAY * validity.1).into();
            request.params.use_authority_key_identifier_extension = true;
            let chain = request.signed_by(&self.issuer).unwrap().pem() + &self.root;
            book.orders[order].chain = Some(chain);
        }
        self.order(order, 200)
    }
}

fn token(order: usize, domain: usize) -> String {
    format!("token-{order}-{domain}_")
}

fn step_of(path: &str) -> AcmeStep {
    match path.split('/').nth(1).unwrap_or_default() {
        "directory" => AcmeStep::Directory,
        "nonce" => AcmeStep::Nonce,
        "account" => AcmeStep::Account,
        "new-order" => AcmeStep::NewOrder,
        "authorization" => AcmeStep::Authorization,
        "challenge" => AcmeStep::Challenge,
        "order" => AcmeStep::Order,
        "finalize" => AcmeStep::Finalize,
        "certificate" => AcmeStep::Certificate,
        "renewal-info" => AcmeStep::RenewalInfo,
        other => panic!("{other} is no path of this directory"),
    }
}

fn read_request(tls: &mut Tls) -> Option<(String, String, Vec<u8>)> {
    let mut reader = BufReader::new(tls);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((method, path, body))
}
