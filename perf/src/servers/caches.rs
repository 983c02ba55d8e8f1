//! Caches of HTTP in front of an origin, for scenarios with many keys: what other people's servers do that is nearest to ours.
//!
//! | server | keeps values |
//! |---|---|
//! | nginx | `proxy_cache`, in files on a tmpfs |
//! | Varnish | in its store in memory |
//!
//! The origin is Corelane, on the CPU of the load generator, and holds every value. The cache is filled before it is measured,
//! by asking for each key once, so that the origin is idle while it is.
//!
//! **Source**: nginx's manual (`proxy_cache_path`, `proxy_cache_key`); varnishd(1), vcl(7).

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::client::{accepts, is_ready};
use super::{TestBed, TestServer, free_addresses};
use crate::system::scratch::ScratchFolder;

/// A file system in memory.
const TMPFS: &str = "/dev/shm";

/// Memory for all values and what each cache keeps beside them.
const ORIGIN_MEMORY: &str = "2GiB";
const VARNISH_STORE: &str = "malloc,4g";

impl TestBed {
    /// Starts the origin, which is empty.
    pub(crate) fn start_origin(&self) -> Result<TestServer> {
        let [address, admin] = free_addresses()?;
        let mut command = self.program("corelane", &[self.client_cpu], address, admin);
        command.args(["--memory", ORIGIN_MEMORY]);
        self.serve("origin", &mut command, address, |_| is_ready(admin))
    }

    /// Starts nginx as a cache in front of an origin.
    pub(crate) fn start_nginx_cache(&self, origin: SocketAddr) -> Result<TestServer> {
        let [address] = free_addresses()?;
        let files = ScratchFolder::within(Path::new(TMPFS), "nginx-cache")?;
        let http = format!(
            "  proxy_cache_path {} levels=1:2 keys_zone=all:512m max_size=16g inactive=24h use_temp_path=off;\n  \
             upstream origin {{ server {origin}; keepalive 64; }}\n",
            files.folder().display()
        );
        let location = "proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_cache all; \
                        proxy_cache_key $uri; proxy_cache_valid 200 24h; proxy_force_ranges on;";
        let text = self.nginx_configuration(address, location).replacen("http {\n", &format!("http {{\n{http}"), 1);
        let configuration = self.scratch.write("nginx-cache.conf", &text)?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(self.scratch.folder()).args(["-e", "stderr", "-c"]).arg(configuration);
        let nginx = self.serve("nginx", &mut command, address, accepts)?;
        Ok(TestServer { behind: Some(origin), _files: Some(files), ..nginx })
    }

    /// Starts Varnish as a cache in front of an origin.
    pub(crate) fn start_varnish_cache(&self, origin: SocketAddr) -> Result<TestServer> {
        let [address] = free_addresses()?;
        let text = format!(
            "vcl 4.1;\nbackend default {{ .host = \"{}\"; .port = \"{}\"; }}\nsub vcl_recv {{ return (hash); }}\n\
             sub vcl_backend_response {{ set beresp.ttl = 24h; }}\n",
            origin.ip(),
            origin.port()
        );
        let configuration = self.scratch.write("varnish-cache.vcl", &text)?;
        let mut command = self.pinned("varnishd");
        command.arg("-F").args(["-j", "none", "-a", &address.to_string(), "-s", VARNISH_STORE, "-p", "thread_pools=1"]);
        command.arg("-n").arg(self.scratch.path("varnish-cache")).arg("-f").arg(configuration);
        let varnish = self.serve("varnish", &mut command, address, accepts)?;
        Ok(TestServer { behind: Some(origin), ..varnish })
    }
}
