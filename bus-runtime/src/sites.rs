//! The tenants of the host, for the application: which there are.

use std::sync::Arc;

use bus_core::{Site, SiteName};

use crate::Result;
use crate::bus::Bus;
use crate::error::{BusError, BusErrorKind};
use crate::shared::Shared;
use crate::suggest::nearest;

/// The longest display name, in characters.
pub(crate) const DISPLAY_NAME_CHARS_MAX: usize = 200;

/// The most cultures of one site.
pub(crate) const SITE_CULTURES_MAX: usize = 200;

/// The sites: tenants of the host, to which objects belong or are added. Made by [`Bus::sites`].
#[derive(Clone)]
pub struct Sites {
    shared: Arc<Shared>,
}

impl Bus {
    /// The sites. What names a site that is not registered is refused, wherever it comes from.
    ///
    /// ```no_run
    /// # async fn f(bus: bus_runtime::Bus) -> Result<(), Box<dyn std::error::Error>> {
    /// use bus_core::Site;
    ///
    /// let corp = Site::new("corp")?.display_name("Corporate").cultures(["en-US", "de-DE"])?;
    /// bus.sites().register(corp).await?;
    /// assert_eq!(bus.sites().list().await?.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn sites(&self) -> Sites {
        Sites { shared: Arc::clone(&self.shared) }
    }
}

impl Sites {
    /// Registers a site, or changes the one of its name; does nothing where it says what is known. A site that the
    /// configuration file names is as the file says again at the next start.
    ///
    /// # Errors
    ///
    /// `BadName` for a display name that is empty or longer than 200 characters; `TooLarge` for more than 200 cultures;
    /// `Store`.
    pub async fn register(&self, site: Site) -> Result<()> {
        check(&site)?;
        save_where_new(&self.shared, site).await
    }

    /// The registered sites, by name.
    pub async fn list(&self) -> Result<Vec<Site>> {
        self.shared.store.sites().await.map_err(|error| BusError::store("list the sites", error))
    }

    /// Removes a site; whether there was one. One that the configuration file names comes back with the next start.
    ///
    /// # Errors
    ///
    /// `Conflict` while objects belong to it, or are added to it: it says how many; `BadName`, `Store`.
    pub async fn remove(&self, name: &str) -> Result<bool> {
        let name = parse(name)?;
        self.shared.store.remove_site(&name).await.map_err(|error| {
            let what = format!("remove site {name}");
            let reason = if error.kind() == bus_store::StoreErrorKind::Conflict {
                format!("{what}: {error}")
            } else {
                what
            };
            BusError::store(&reason, error)
        })
    }
}

fn check(site: &Site) -> Result<()> {
    let (name, chars) = (&site.name, site.display_name.chars().count());
    if site.display_name.trim().is_empty() || chars > DISPLAY_NAME_CHARS_MAX {
        let message = format!(
            "the display name of site {name} has {chars} characters; write 1 to {DISPLAY_NAME_CHARS_MAX}, or leave it out"
        );
        return Err(BusError::new(BusErrorKind::BadName, message));
    }
    if site.cultures.len() > SITE_CULTURES_MAX {
        let count = site.cultures.len();
        let message =
            format!("site {name} has {count} cultures, more than {SITE_CULTURES_MAX}; take some away");
        return Err(BusError::new(BusErrorKind::TooLarge, message));
    }
    Ok(())
}

/// Registers what is new or different: where nothing is, nothing is written.
pub(crate) async fn save_where_new(shared: &Shared, site: Site) -> Result<()> {
    let failed = |error| BusError::store(&format!("register site {}", site.name), error);
    let known = shared.store.sites().await.map_err(failed)?;
    if !known.contains(&site) {
        shared.store.save_site(site.clone()).await.map_err(failed)?;
    }
    Ok(())
}

/// Reads what is to be the name of a site.
pub(crate) fn parse(name: &str) -> Result<SiteName> {
    SiteName::parse(name).map_err(|error| BusError::new(BusErrorKind::BadName, error.to_string()))
}

/// Why `what` is refused, which names a site that is not registered.
pub(crate) async fn unknown(shared: &Shared, what: &str, site: &SiteName) -> BusError {
    let known = match shared.store.sites().await {
        Ok(known) => known,
        Err(error) => return BusError::store(&format!("{what}: look for site {site}"), error),
    };
    let names = known.iter().map(|known| known.name.as_str());
    let remedy = match nearest(site.as_str(), names.clone()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => "none is".to_owned(),
        None => format!("those that are: {}", names.collect::<Vec<_>>().join(", ")),
    };
    let message = format!("{what}: no site `{site}` is registered; register it, or mend the name ({remedy})");
    BusError::new(BusErrorKind::UnknownSite, message)
}
