// SPDX-License-Identifier: Apache-2.0
// A process that looks to the bus like tcmu-runner with the plugin. It has handler/control and a
// main loop, but its LUNs are made up (luns.h).
//
//   host FAULT_CONTROL_FILE LUN…      runs until it is killed
//
// At SIGUSR1 its stalled LUNs tell the bus that they stall, at SIGUSR2 that they have recovered.
// With AS_THE_DAEMON in the environment it also owns tcmu-runner's name, as the daemon does: on
// GLib's shared connection, which has other rules than the connection of the plugin.
#include <gio/gio.h>
#include <glib-unix.h>
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "handler/control.h"
#include "tests/control/luns.h"

namespace {

using Luns = std::vector<std::unique_ptr<ballast::testing::MadeUpLun>>;

template <bool stalls>
gboolean tell(gpointer luns) {
  for (const auto& lun : *static_cast<Luns*>(luns)) {
    lun->tell(stalls);
  }
  return G_SOURCE_CONTINUE;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: host FAULT_CONTROL_FILE LUN…\n", stderr);
    return 2;
  }
  Luns luns;
  // As in the daemon: first the name, then the LUNs, then the loop.
  ballast::handler::control_start();
  for (int i = 2; i < argc; ++i) {
    luns.push_back(std::make_unique<ballast::testing::MadeUpLun>(argv[i], argv[1]));
    ballast::handler::control_add(*luns.back());
  }
  if (std::getenv("AS_THE_DAEMON") != nullptr) {
    g_bus_own_name(G_BUS_TYPE_SYSTEM, "org.kernel.TCMUService1", G_BUS_NAME_OWNER_FLAGS_NONE,
                   nullptr, nullptr, nullptr, nullptr, nullptr);
  }
  g_unix_signal_add(SIGUSR1, tell<true>, &luns);
  g_unix_signal_add(SIGUSR2, tell<false>, &luns);
  GMainLoop* const loop = g_main_loop_new(nullptr, FALSE);
  // As the daemon does; what was watched already is told as well.
  g_unix_signal_add(
      SIGTERM,
      [](gpointer quits) -> gboolean {
        g_main_loop_quit(static_cast<GMainLoop*>(quits));
        return G_SOURCE_CONTINUE;
      },
      loop);
  g_main_loop_run(loop);
  return 0;
}
