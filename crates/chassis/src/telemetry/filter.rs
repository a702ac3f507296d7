//! The filter of log lines: what `RUST_LOG` asks for, and alerts in any case.
//!
//! An alert is an error with the field `alert = true`: an operator must look. A filter that was meant to make
//! a log less noisy, or that came empty or wrong out of a template, must not silence it.

use tracing::{
    Level, Metadata, Subscriber,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};
use tracing_subscriber::{EnvFilter, Layer, layer::Context};

/// The filter of everything that is logged.
pub(super) struct Filter(EnvFilter);

impl Filter {
    pub(super) const fn new(asked: EnvFilter) -> Self {
        Self(asked)
    }
}

/// Whether this is an alert; known from the callsite, before anything is logged there.
fn is_alert(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && *metadata.level() == Level::ERROR && metadata.fields().field("alert").is_some()
}

impl<S: Subscriber> Layer<S> for Filter {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        let asked = Layer::<S>::register_callsite(&self.0, metadata);
        if is_alert(metadata) { Interest::always() } else { asked }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // Levels are compared first: below this one the filter would not be asked about an alert.
        Layer::<S>::max_level_hint(&self.0).map(|asked| asked.max(LevelFilter::ERROR))
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        is_alert(metadata) || Layer::<S>::enabled(&self.0, metadata, context)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        Layer::<S>::on_new_span(&self.0, attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        Layer::<S>::on_record(&self.0, id, values, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        Layer::<S>::on_enter(&self.0, id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        Layer::<S>::on_exit(&self.0, id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        Layer::<S>::on_close(&self.0, id, context);
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::telemetry::{json::Json, writer};

    /// What is written of an alert, a warning, an error that is no alert, and a line at INFO.
    fn written(filter: &str) -> Vec<String> {
        let out = writer::tests::Out::default();
        let (lines, thread) = writer::start(out.clone());
        let filter = Filter::new(EnvFilter::builder().parse_lossy(filter));
        tracing::subscriber::with_default(
            tracing_subscriber::registry().with(filter).with(Json::new(lines)),
            || {
                let _span = tracing::info_span!("work").entered();
                crate::warn_or_alert!(false, "look here");
                crate::warn_or_alert!(true, "it passes");
                tracing::error!("failed");
                tracing::info!("told");
            },
        );
        drop(thread);
        out.text().lines().map(str::to_owned).collect()
    }

    #[test]
    fn no_filter_silences_an_alert() {
        for (filter, lines) in
            [("off", 1), ("chassis=off,info", 1), ("error", 2), ("[nothing]=trace,off", 1), ("info", 4)]
        {
            let told = written(filter);
            assert!(told.len() == lines && told[0].contains("look here"), "{filter}: {told:?}");
        }
    }
}
