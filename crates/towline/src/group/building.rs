//! What the requests for groups have in common, built step by step: each has
//! `utility` and `request`.

macro_rules! building {
    ($request:ident) => {
        impl $request {
            /// Options of every transfer. Default: the usual ones.
            pub fn options(mut self, options: TransferOptions) -> Self {
                self.request.options = options;
                self
            }

            /// Another connection than the utility's own.
            pub fn connection(mut self, connection: Connection) -> Self {
                self.request.connection = Some(connection);
                self
            }

            /// The name of the group. Default: one by its source and its target.
            pub fn group(mut self, name: impl Into<String>) -> Self {
                self.request.group = Some(name.into());
                self
            }

            /// Cancels an unfinished group of the same name, and unfinished transfers
            /// of the same, and starts them anew.
            pub fn restart(mut self, restart: bool) -> Self {
                self.request.restart = restart;
                self
            }
        }

        impl IntoFuture for $request {
            type Output = Result<GroupObserver, Error>;
            type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(async move { self.utility.begin_group(self.request).await })
            }
        }
    };
}
pub(super) use building;
