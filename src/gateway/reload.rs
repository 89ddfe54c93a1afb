//! SIGHUP: the configuration read again, as far as it can change while the gateway runs.

use crate::config::{Report, Sources, changed_tables};
use crate::hub::Settings;
use crate::plan::Plan;

use super::Gateway;

impl Gateway {
    /// Puts a changed configuration in force: users, rules, limits and certificates of the hub, and the bridges'
    /// certificates. Clients that would
    /// still be let in stay connected. What needs a restart is named in a warning; `started` is what runs now.
    ///
    /// # Errors
    /// Why nothing was changed: the users file is bad. Certificates that cannot be used are told in the log, and the
    /// old ones stay.
    pub async fn reload(&self, plan: Plan, report: &Report, started: &Sources) -> anyhow::Result<()> {
        let later: Vec<_> = changed_tables(started, &report.sources).into_iter().filter(|it| it != "hub").collect();
        if !later.is_empty() {
            tracing::warn!("changed, and in force only after a restart: {}", later.join(", "));
        }
        // The devices that run, and so the topics that are theirs, are those of the start.
        let settings = Settings { gateway: self.name.clone(), own: self.own.clone(), ..plan.hub };
        self.hub.reload(settings).await?;
        if let Err(error) = self.hub.reload_certificates().await {
            tracing::error!(%error, "the hub goes on with the certificates it had");
        }
        for bridge in &self.bridges {
            bridge.reload_certificates().await;
        }
        Ok(())
    }
}
