//! What service managers, balancers and operators rely on, against the real binary.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use support::client::Client;
use support::server::{Plan, Server, Waiting, own_folder};

fn status(server: &Server) -> serde_json::Value {
    let page = Client::connect(server.admin).ask("GET /v1/status HTTP/1.1\r\nHost: h\r\n\r\n");
    serde_json::from_slice(&page.body).unwrap()
}

/// The CPUs of each thread of a process, as the kernel lists them, by the thread's name.
fn cpus_by_thread(process: u32) -> BTreeMap<String, String> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let of_thread = |folder: &Path| {
        let status = std::fs::read_to_string(folder.join("status")).ok()?;
        let value = |name: &str| status.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
        Some((value("Name:")?, value("Cpus_allowed_list:")?))
    };
    // One that ends meanwhile has no status any more.
    threads.filter_map(|thread| of_thread(&thread.unwrap().path())).collect()
}

#[test]
fn threads_have_the_cpus_of_the_map_of_cores() {
    let allowed = reactor::cpu::allowed().unwrap();
    // On a host with one CPU everything shares it, which the map may say where nothing else exists.
    let (control, data) = (allowed[0], *allowed.last().unwrap());
    let folder = own_folder();
    let map = folder.join("cores.toml");
    let text = format!("version = 1\ncontrol_cpu = {control}\n[[core]]\ncpu = {data}\nnuma_node = 0\n");
    std::fs::write(&map, text).unwrap();
    let config = format!("memory = \"64MiB\"\ncores_map = \"{}\"\n", map.display());
    let server = Server::start(&Plan { config: &config, cores: Some("profile"), ..Plan::default() });
    let waiting = Waiting::begin();
    for (cpu, name) in
        [(data, "core-0"), (control, "control"), (control, "log"), (control, "files-config"), (control, "access-log")]
    {
        // A thread names itself a moment after it has started.
        while !cpus_by_thread(server.process()).contains_key(name) {
            waiting.go_on(|| format!("no thread {name}: {:?}", cpus_by_thread(server.process())));
        }
        assert_eq!(cpus_by_thread(server.process())[name], cpu.to_string(), "{name}");
    }
    assert_eq!(status(&server)["control_cpu"], control);
    let _ = std::fs::remove_dir_all(folder);
}
