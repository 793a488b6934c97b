//! Who is to be asked before something is written, and told after.

use bus_core::{BusObject, Listener, ListenerOf, Page};

use super::Builder;

impl Builder {
    /// Lets this listener veto changes and external objects before they are logged, and see them after.
    pub fn listen(mut self, listener: impl Listener) -> Self {
        self.listeners.add(listener);
        self
    }

    /// Lets this listener veto changes of objects of type `T` before they are written, and see them after: what was, and
    /// what is. The start is refused (`Config`) where the program does not declare the type, or `T` is a former version of
    /// it.
    ///
    /// ```no_run
    /// # use bus_core::{BusObject, ListenerOf, Event, Veto};
    /// # #[derive(serde::Serialize, serde::Deserialize, BusObject)]
    /// # #[object(type = "app.user", display = "User")]
    /// # struct User { #[object(id)] id: i64, #[object(code_name)] login: String }
    /// struct NoRoot;
    ///
    /// impl ListenerOf<User> for NoRoot {
    ///     fn before(&self, event: &Event<User>) -> Result<(), Veto> {
    ///         match event.after() {
    ///             Some(user) if user.login == "root" => Err(Veto::because("nobody is called root")),
    ///             _ => Ok(()),
    ///         }
    ///     }
    /// }
    ///
    /// # async fn f() -> bus_runtime::Result<()> {
    /// let bus = bus_runtime::Bus::builder("bus.toml").listen_to::<User>(NoRoot).start().await?;
    /// # bus.shutdown().await; Ok(()) }
    /// ```
    pub fn listen_to<T: BusObject>(mut self, listener: impl ListenerOf<T>) -> Self {
        self.listeners.add_to::<T>(listener);
        self
    }

    /// The same for pages of one class: each event has the page as it is in one culture, and, where it was there before and
    /// something about itself changed, what it was. The start is refused (`Config`) where the program does not declare the class.
    pub fn listen_to_pages<T: Page>(mut self, listener: impl ListenerOf<T>) -> Self {
        self.listeners.add_to_pages::<T>(listener);
        self
    }
}
