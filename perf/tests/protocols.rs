//! `coreperf run` against real servers, in the protocol of each: corelane, shardstored, redis, memcached.
//!
//! A server that is not installed fails its test, which names the package. The host may be busy while this runs, so it is not
//! asserted that a run is valid, only that every answer was right.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "a test that starts servers and waits for them"
)]

mod support;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use support::{Folder, coreperf, result, text};

/// No server takes this long to begin.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where servers are installed; often not in an ordinary user's PATH.
const SYSTEM_FOLDERS: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// A server of the test, ended with it.
struct ServerProcess {
    child: Child,
    address: SocketAddr,
}

impl ServerProcess {
    fn start(command: &mut Command, address: SocketAddr) -> Self {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut server = Self { child, address };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(server.child.try_wait().unwrap().is_none(), "{command:?} ended before it served");
            assert!(Instant::now() < deadline, "{command:?} does not serve within {PATIENCE:?}");
            std::thread::yield_now();
        }
        server
    }

    fn shardstored(folder: &Path) -> Self {
        let node = built("shardstored");
        let [address, admin] = free_addresses();
        // Two cores, so that answers need not come in the order of the requests.
        let topology = format!("cluster = \"of-the-test\"\nepoch = 5\n[[node]]\nid = 1\naddress = \"{address}\"\n");
        std::fs::write(folder.join("topology.toml"), topology).unwrap();
        let mut command = Command::new(node);
        command.env_clear().args(["--node-id=1", "--cores=0,1", "--memory=256MiB"]);
        command.args([format!("--listen={address}"), format!("--admin={admin}")]);
        command.arg("--topology").arg(folder.join("topology.toml"));
        Self::start(&mut command, address)
    }

    fn corelane() -> Self {
        let [address, admin] = free_addresses();
        let mut command = Command::new(built("corelane"));
        command.env_clear().args(["--cores=0", "--memory=256MiB"]);
        command.args([format!("--listen={address}"), format!("--admin={admin}")]);
        Self::start(&mut command, address)
    }

    fn redis(folder: &Path) -> Self {
        let [address] = free_addresses();
        let mut command = Command::new(installed("redis-server"));
        command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string()]);
        command.args(["--save", "", "--appendonly", "no"]).arg("--dir").arg(folder);
        Self::start(&mut command, address)
    }

    fn memcached() -> Self {
        let [address] = free_addresses();
        let mut command = Command::new(installed("memcached"));
        command.args(["-l", "127.0.0.1", "-p", &address.port().to_string(), "-U", "0", "-m", "256", "-I", "4m"]);
        // It refuses to run as root unless it is told to; for others the option means nothing.
        command.args(["-u", "root"]);
        Self::start(&mut command, address)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One of our own servers, which the tests of a workspace have built.
fn built(program: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_BIN_EXE_coreperf")).with_file_name(program);
    let profile = if cfg!(debug_assertions) { "" } else { " --release" };
    assert!(path.is_file(), "{} is missing: cargo build{profile} -p {program}", path.display());
    path
}

/// Where a server is; in Debian the package has the program's name.
fn installed(program: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut folders = path.split(':').chain(SYSTEM_FOLDERS.split(':'));
    let found = folders.find_map(|folder| Some(PathBuf::from(folder).join(program)).filter(|file| file.is_file()));
    found.unwrap_or_else(|| panic!("{program} is not installed: apt-get install {program} (or cargo xtask test)"))
}

/// Addresses that nobody uses at the moment, all different.
fn free_addresses<const COUNT: usize>() -> [SocketAddr; COUNT] {
    [(); COUNT].map(|()| TcpListener::bind("127.0.0.1:0").unwrap()).map(|taken| taken.local_addr().unwrap())
}

/// How often each status was answered.
fn statuses(result: &Value) -> Vec<(u64, u64)> {
    let pairs = result["statuses"].as_array().unwrap().iter();
    pairs.map(|pair| (pair[0].as_u64().unwrap(), pair[1].as_u64().unwrap())).collect()
}

/// Runs a scenario in which every answer is right; how often each status was answered.
fn right(folder: &Folder, scenario: &str) -> Vec<(u64, u64)> {
    let output = coreperf(&folder.scenario(scenario), &folder.0).output().unwrap();
    let told = text(&output);
    assert!(output.status.code().is_some_and(|code| code < 2), "{told}");
    let result = result(&folder.0);
    assert_eq!(result["errors"]["total"], 0, "{told}");
    // The lowest rate is 100 a second, and arrivals are by chance.
    assert!(result["requests_answered"].as_u64().unwrap() > 50, "{told}");
    assert!(result["cpu_us_per_request"]["total"].as_f64().unwrap() > 0.0, "the server is found by who listens");
    statuses(&result)
}

fn count(statuses: &[(u64, u64)], status: u64) -> u64 {
    statuses.iter().find(|(found, _)| *found == status).map_or(0, |(_, count)| *count)
}

/// Fills, then reads, overwrites and deletes, several requests at once on each connection; then large values alone.
fn exercise(folder: &Folder, url: &str) {
    let common = "connections = 4\nwarmup = \"1s\"\nduration = \"1s\"\n";
    let mixed = format!(
        "url = \"{url}\"\nrate = 2000\npipeline = 8\n{common}[keys]\ncount = 500\n[values]\nfill = true\n\
         sizes = [[10, 5], [5000, 5]]\n[mix]\nget = 7\nput = 2\ndelete = 1\n\
         [expect]\nstatus = [200, 201, 204, 404]\nbody = \"value\"\n"
    );
    let statuses = right(folder, &mixed);
    assert!(count(&statuses, 200) > 200 && count(&statuses, 404) > 10, "{statuses:?}");
    assert!(count(&statuses, 201) + count(&statuses, 204) > 100, "{statuses:?}");

    let reads = mixed.replace("put = 2\ndelete = 1", "put = 0").replace("[200, 201, 204, 404]", "[200]");
    let found = right(folder, &reads);
    assert_eq!(found.len(), 1, "every key was written before the run: {found:?}");

    let large = format!(
        "url = \"{url}\"\nrate = 100\n{common}[keys]\ncount = 3\n[values]\nfill = true\nbytes = 2500000\n\
         [mix]\nget = 8\nput = 2\n[expect]\nstatus = [200, 204]\nbody = \"value\"\n"
    );
    right(folder, &large.replace("rate = 100", "rate = 100\ntimeout = \"10s\""));
}

#[test]
fn a_node_is_asked_in_the_shard_protocol() {
    let folder = Folder::new("shard");
    let server = ServerProcess::shardstored(&folder.0);
    exercise(&folder, &format!("shard://{}/k{{key}}", server.address));
    let missing = format!("shard://other@{}/k{{key}}", server.address);
    let scenario = format!("url = \"{missing}\"\nrate = 500\nconnections = 4\nwarmup = \"1s\"\nduration = \"1s\"\n");
    let statuses = right(&folder, &(scenario + "[keys]\ncount = 500\n[expect]\nstatus = [404]\n"));
    assert_eq!(statuses.len(), 1, "another keyspace has none of these keys: {statuses:?}");
}

#[test]
fn redis_is_asked_in_resp() {
    let folder = Folder::new("redis");
    let server = ServerProcess::redis(&folder.0);
    exercise(&folder, &format!("redis://{}/k{{key}}", server.address));

    // It answers a frame with an error of its own, or not at all.
    let wrong = format!("url = \"shard://{}/k\"\ntimeout = \"1s\"\n", server.address);
    let output = coreperf(&folder.scenario(&wrong), &folder.0).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("does not say HELLO as a node does"), "{}", text(&output));
}

#[test]
fn memcached_is_asked_in_its_meta_protocol() {
    let folder = Folder::new("memcached");
    let server = ServerProcess::memcached();
    exercise(&folder, &format!("memcached://{}/k{{key}}", server.address));

    let wrong = format!("url = \"redis://{}/k\"\nrate = 100\n[values]\nfill = true\n", server.address);
    let output = coreperf(&folder.scenario(&wrong), &folder.0).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("the values could not be stored"), "{}", text(&output));
}

/// A scenario of `perf/scenarios` with fewer keys and at a rate that a debug build reaches.
fn shortened(name: &str, url: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    let (address, folder) = (format!("url = \"{url}/{{key}}\"\nrate = 2000"), folder.display().to_string());
    [
        ("url = \"http://127.0.0.1:8080/v1/kv/default/{key}\"", address.as_str()),
        ("count = 1000000", "count = 5000"),
        ("web-sizes.json", &format!("{folder}/web-sizes.json")),
        ("duration = \"5s\"", "duration = \"1s\"\ntimeout = \"10s\""),
    ]
    .iter()
    .fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{name} does not say {from}");
        text.replace(from, to)
    })
}

/// Every answer is compared with what was stored: whole values, parts, lengths, and that nothing has changed.
#[test]
fn the_web_is_asked_of_corelane() {
    let (folder, server) = (Folder::new("web"), ServerProcess::corelane());
    for name in ["web.toml", "web-pipelined.toml"] {
        let statuses = right(&folder, &shortened(name, &format!("http://{}/v1/kv/default", server.address)));
        // Of 2,000: 90 % and more are whole, 5 % conditional, 3 % PUTs, 1 % parts.
        for (status, at_least) in [(200, 1500), (304, 10), (204, 20), (206, 5)] {
            assert!(count(&statuses, status) > at_least, "{name}: {status} in {statuses:?}");
        }
    }
}

/// Key-value servers are asked for the same keys and sizes, in the one way that they know.
#[test]
fn the_web_is_asked_of_redis() {
    let folder = Folder::new("web-redis");
    let server = ServerProcess::redis(&folder.0);
    let statuses = right(&folder, &shortened("web.toml", &format!("redis://{}", server.address)));
    assert!(count(&statuses, 200) > 1500 && count(&statuses, 204) > 20, "{statuses:?}");
    assert_eq!(statuses.len(), 2, "{statuses:?}");
}
