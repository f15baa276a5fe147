// SPDX-License-Identifier: Apache-2.0
// A process that is to the bus what tcmu-runner is with the plugin loaded: handler/control and a
// main loop, but the LUNs are made up (luns.h).
// usage: host FAULT_CONTROL_FILE LUN…      until it is killed
// With AS_THE_DAEMON in the environment it owns tcmu-runner's name, too, as the daemon does: on
// GLib's shared connection, for which other rules hold than for ours.
#include <gio/gio.h>
#include <glib-unix.h>
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "handler/control.h"
#include "tests/control/luns.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: host FAULT_CONTROL_FILE LUN…\n", stderr);
    return 2;
  }
  std::vector<std::unique_ptr<ballast::testing::MadeUpLun>> luns;
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
