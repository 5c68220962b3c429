//! Log lines, to standard error.

use crate::config::{Log, LogFormat, LogLevel};
use tracing_subscriber::filter::LevelFilter;

/// Begins to log. Once in a process; whoever comes later is not heard.
pub fn begin_log(log: Log) {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).with_max_level(level);
    // A second call would be a mistake of ours that costs nobody anything.
    drop(match log.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).try_init(),
    });
}
