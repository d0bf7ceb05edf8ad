//! The holder alone, as lowlat's hidden subcommand runs it: `hold_dma_latency US PIPE`.

fn main() -> std::io::Result<()> {
    let us = std::env::args()
        .nth(1)
        .and_then(|t| t.parse().ok())
        .ok_or_else(|| std::io::Error::other("give a limit in µs"))?;
    lowlat_sysmut::holder::hold(us, std::env::args().nth(2).map(std::path::PathBuf::from).as_deref())
}
