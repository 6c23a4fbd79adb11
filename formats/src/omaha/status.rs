//! The words of the protocol: statuses and other attributes with a fixed vocabulary.

use std::fmt;

use super::element::Value;

/// An enum of words. Unknown ones are kept, so that nothing is lost between reading and writing.
macro_rules! words {
    ($(
        $(#[$doc:meta])*
        $name:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal,)+ }
    )*) => {$(
        $(#[$doc])*
        ///
        /// Make one from text with `from`, so that a known word never ends up as `Other`.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $($(#[$word_doc])* $variant,)+
            /// Any other word, as it came.
            Other(String),
        }

        impl $name {
            /// The word as it stands in a message.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)+
                    _ => Self::Other(word.to_owned()),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Value for $name {
            const EXPECTED: &'static str = "a word";

            fn read(text: &str) -> Option<Self> {
                Some(Self::from(text))
            }

            fn write(&self) -> String {
                self.as_str().to_owned()
            }
        }
    )*};
}

words! {
    /// Whether the server knows the application (go-omaha's `codes.go`).
    AppStatus {
        /// It does.
        Ok = "ok",
        /// Not for this client.
        Restricted = "restricted",
        /// No such application.
        UnknownApplication = "error-unknownApplication",
        /// The id is not one.
        InvalidAppId = "error-invalidAppId",
        /// The version is not one.
        InvalidVersion = "error-invalidVersion",
        /// The server failed.
        Internal = "error-internal",
    }

    /// Whether there is an update (go-omaha's `codes.go`).
    UpdateStatus {
        /// There is, and the manifest describes it.
        Ok = "ok",
        /// There is none.
        NoUpdate = "noupdate",
        /// None for this operating system.
        OsNotSupported = "error-osnotsupported",
        /// The server does not speak this version of the protocol.
        UnsupportedProtocol = "error-unsupportedProtocol",
        /// Not for this host.
        PluginRestrictedHost = "error-pluginRestrictedHost",
        /// The server cannot hash the package.
        Hash = "error-hash",
        /// The server failed.
        Internal = "error-internal",
    }

    /// The answer to a ping or an event.
    AckStatus {
        /// Noted. Servers say nothing else.
        Ok = "ok",
    }

    /// When the client has to do what an action says.
    ActionEvent {
        /// After the payload is installed; update_engine reads this one only.
        PostInstall = "postinstall",
        /// On a first installation.
        Install = "install",
        /// On an update.
        Update = "update",
    }

    /// Who caused an update check.
    InstallSource {
        /// Somebody asked for it.
        OnDemand = "ondemandupdate",
        /// Its time had come.
        Scheduler = "scheduler",
    }
}
