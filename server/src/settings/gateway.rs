//! The settings of the reverse proxy: services, routes, and where the KV API is.
//!
//! **Not** what a route means ([`corelane_gateway`]).
//!
//! **Invariants**: what [`compile`] refuses is no valid configuration, so that what is in force compiles.
//!
//! **Source**: docs/proxy.md.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use control::settings;
use control::settings::SettingMisfit;
use control::settings::content::FileContent;
use control::settings::kind::Kind;
use control::settings::process_keys::{DAY, SECOND};
use control::settings::schema::SettingKey;
use control::settings::written::WrittenTable;
use corelane_gateway::source::{
    AnswerFile, AnswerSource, GatewaySource, Placed, RedirectSource, RouteSource, ServiceSource, SourcePlace,
};
use corelane_gateway::{ANSWER_BYTES_MAX, FIELD_CONDITIONS_MAX, HOSTS_OF_ROUTE_MAX, RouteTable};

use super::EdgeSettings;

/// Longest host, in bytes; those of DNS have 253.
const HOST_BYTES_MAX: usize = 255;

/// Longest path, target of a redirect, or value of a condition, in bytes.
const TEXT_BYTES_MAX: usize = 2048;

/// Most methods of one route; there are some forty that are registered.
const METHODS_MAX: usize = 64;

/// Longest name of a method, in bytes.
const METHOD_BYTES_MAX: usize = 64;

settings! {
    /// A service: what answers the requests of routes that name it.
    pub struct ServiceSettings {
        /// A response that is the same for every request.
        pub answer: AnswerSettings = AnswerSettings::TABLE,
    }
}

settings! {
    /// A response that is the same for every request.
    pub struct AnswerSettings {
        /// Status of the response; without it 200.
        pub status: Option<u16> = SettingKey::count(200, 599),
        /// Body of the response, as plain text; `text` or `file`.
        pub text: Option<String> = SettingKey::new(Kind::Text { bytes_max: ANSWER_BYTES_MAX }),
        /// File of the body, read with the settings; its extension says what it is.
        pub file: Option<FileContent> = SettingKey::new(Kind::Content { bytes_max: ANSWER_BYTES_MAX }),
        /// After which time clients may try again (field Retry-After), in whole seconds.
        pub retry_after: Option<Duration> = SettingKey::duration(SECOND, DAY),
    }
}

settings! {
    /// A route: which requests go where. The most specific route wins: docs/proxy.md.
    pub struct RouteSettings {
        /// Hosts it is for: `shop.example.com`, or `*.example.com` for all below; without it every host.
        pub host: Option<Vec<String>> =
            SettingKey::new(Kind::Texts { count_max: HOSTS_OF_ROUTE_MAX, bytes_max: HOST_BYTES_MAX }),
        /// Paths it is for: `/a`, `/a/{name}` for one segment, `/a/{*rest}` for all that follows.
        pub path: String = SettingKey::new(Kind::Text { bytes_max: TEXT_BYTES_MAX }).preset("/{*rest}"),
        /// Methods it is for; `GET` includes `HEAD`; without it every method.
        pub method: Option<Vec<String>> =
            SettingKey::new(Kind::Texts { count_max: METHODS_MAX, bytes_max: METHOD_BYTES_MAX }),
        /// Scheme it is for, with TLS or without; without it both.
        pub scheme: Option<String> = SettingKey::new(Kind::Text { bytes_max: 8 }),
        /// Header fields that requests must have, with their values; a value may end in `*` for anything.
        pub header: Option<BTreeMap<String, String>> =
            SettingKey::new(Kind::TextMap { count_max: FIELD_CONDITIONS_MAX, bytes_max: TEXT_BYTES_MAX }),
        /// Name of the `[service.NAME]` that answers; `service` or `redirect`.
        pub service: Option<String> = SettingKey::new(Kind::Text { bytes_max: 63 }),
        /// Where clients are sent instead.
        pub redirect: RedirectSettings = RedirectSettings::TABLE,
    }
}

settings! {
    /// Where clients are sent.
    pub struct RedirectSettings {
        /// Target, with the placeholders `{host}`, `{path}` and the parameters of the route's path.
        pub to: Option<String> = SettingKey::new(Kind::Text { bytes_max: TEXT_BYTES_MAX }),
        /// Status of the response: 301, 302, 303, 307 or 308; without it 308.
        pub status: Option<u16> = SettingKey::count(301, 308),
    }
}

settings! {
    /// The KV API, which is at `/v1/kv/`.
    pub struct KvSettings {
        /// Hosts that it is on: `kv.example.com`, or `*.example.com` for all below; without it every host.
        pub hosts: Option<Vec<String>> =
            SettingKey::new(Kind::Texts { count_max: HOSTS_OF_ROUTE_MAX, bytes_max: HOST_BYTES_MAX }),
    }
}

/// The routes and services of settings that are valid.
///
/// # Panics
///
/// When they are not: whoever reads settings asks [`misfits`] first.
pub(crate) fn route_table(settings: &EdgeSettings) -> RouteTable {
    corelane_gateway::compile(&source(settings)).unwrap_or_else(|faults| panic!("settings were checked: {}", faults[0]))
}

/// Whether two settings say the same of services and routes.
pub(crate) fn are_same(one: &EdgeSettings, other: &EdgeSettings) -> bool {
    Arc::ptr_eq(&one.route, &other.route) && Arc::ptr_eq(&one.service, &other.service) && one.kv == other.kv
}

/// All that is wrong with services and routes.
pub(super) fn misfits(settings: &EdgeSettings) -> Vec<SettingMisfit> {
    let mut misfits = Vec::new();
    for route in settings.route.iter() {
        let redirect = &route.settings.redirect;
        if redirect.status.is_some() && redirect.to.is_none() {
            let reason = "has a status, but no target; add to = \"…\"".to_owned();
            misfits.push(SettingMisfit { key: format!("{}.redirect", route.path), reason });
        }
    }
    for service in settings.service.values().filter(|service| service.settings.answer == EMPTY_ANSWER) {
        let reason = "does nothing; add answer = { … }".to_owned();
        misfits.push(SettingMisfit { key: service.path.clone(), reason });
    }
    let faults = corelane_gateway::compile(&source(settings)).err().unwrap_or_default();
    misfits.extend(faults.into_iter().map(|fault| SettingMisfit { key: fault.key, reason: fault.reason.to_string() }));
    misfits
}

const EMPTY_ANSWER: AnswerSettings = AnswerSettings { status: None, text: None, file: None, retry_after: None };

fn source(settings: &EdgeSettings) -> GatewaySource {
    GatewaySource {
        services: settings.service.iter().map(|(name, service)| service_source(name, service)).collect(),
        routes: settings.route.iter().enumerate().map(|(index, route)| route_source(index + 1, route)).collect(),
        kv_hosts: placed(&settings.kv, "hosts", settings.kv.settings.hosts.clone()),
    }
}

fn placed<S, T>(table: &WrittenTable<S>, key: &str, value: Option<T>) -> Option<Placed<T>> {
    value.map(|value| Placed { value, place: SourcePlace::new(&table.place_of(key)) })
}

fn service_source(name: &str, service: &WrittenTable<ServiceSettings>) -> ServiceSource {
    let answer = &service.settings.answer;
    let file = answer
        .file
        .as_ref()
        .map(|file| AnswerFile { path: file.path().display().to_string(), content: Arc::clone(file.bytes()) });
    ServiceSource {
        name: Placed { value: name.to_owned(), place: SourcePlace::new(&service.place()) },
        answer: AnswerSource {
            status: placed(service, "answer.status", answer.status),
            text: placed(service, "answer.text", answer.text.clone()),
            file: placed(service, "answer.file", file),
            retry_after_s: answer.retry_after.map(|time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX)),
        },
    }
}

fn route_source(number: usize, route: &WrittenTable<RouteSettings>) -> RouteSource {
    let RouteSettings { host, path, method, scheme, header, service, redirect } = &route.settings;
    let to = placed(route, "redirect.to", redirect.to.clone());
    let header = header.as_ref().map(|fields| fields.clone().into_iter().collect());
    RouteSource {
        number,
        host: placed(route, "host", host.clone()),
        path: Placed { value: path.clone(), place: SourcePlace::new(&route.place_of("path")) },
        method: placed(route, "method", method.clone()),
        scheme: placed(route, "scheme", scheme.clone()),
        header: placed(route, "header", header),
        service: placed(route, "service", service.clone()),
        redirect: to.map(|to| RedirectSource { to, status: placed(route, "redirect.status", redirect.status) }),
    }
}
