// SPDX-License-Identifier: Apache-2.0
// The D-Bus interface that the plugin offers and ballastctl uses: names and methods, for both ends.
// report.h describes the answers.
#pragma once

#include <string>

namespace ballast::watch::bus {

inline constexpr const char* name = "org.ballast.Ballast1";  // of the bus name and of the interface
inline constexpr const char* object_path = "/org/ballast/Ballast1";
inline constexpr const char* no_such_lun = "org.ballast.Error.NoSuchLun";
inline constexpr const char* failed = "org.ballast.Error.Failed";
inline constexpr const char* not_done = "org.ballast.Error.NotDone";  // of an action

// Each returns one string; those that report something, a JSON document.
struct Method {
  const char* name;
  bool takes_lun;  // one string argument: the backstore's name; empty: all LUNs
};
inline constexpr Method list{"List", false};
inline constexpr Method in_flight{"InFlight", true};
inline constexpr Method slow{"Slow", true};
inline constexpr Method stats{"Stats", true};
inline constexpr Method tasks{"Tasks", true};
inline constexpr Method log{"Log", true};
// These ask one LUN for something that may take long, and answer at once what Log answers then. The
// caller asks again and again, until the answer says that it is done; see LogControl
// (lib/backend/log_control.h).
inline constexpr Method hurry_log{"HurryLog", true};
inline constexpr Method let_log_go{"LetLogGo", true};
// These change something, and take the name of one LUN. The answer is empty. It comes when the
// change has been made, or has failed.
inline constexpr Method activate{"Activate",
                                 true};             // the LUN's shared store becomes this gateway's
inline constexpr Method stand_by{"StandBy", true};  // its store is given back

// Signals: each has the LUN's name, and a JSON document of this LUN alone.
struct Signal {
  const char* name;
};
inline constexpr Signal stalled{"Stalled"};
inline constexpr Signal recovered{"Recovered"};

// The interface in the XML of org.freedesktop.DBus.Introspectable: the methods are those that
// report::all() answers, and those that change something; and the signals.
std::string introspection();

}  // namespace ballast::watch::bus
