// SPDX-License-Identifier: Apache-2.0
// A process that looks to the bus like tcmu-runner with a plugin of another version: every method
// answers the same text.
//
//   other_version TEXT      runs until it is killed
#include <gio/gio.h>

#include <cstdio>
#include <string>

#include "lib/watch/bus.h"

namespace {

namespace bus = ballast::watch::bus;

const char* text = "";

void on_method_call(GDBusConnection*, const gchar*, const gchar*, const gchar*, const gchar*,
                    GVariant*, GDBusMethodInvocation* invocation, gpointer) {
  g_dbus_method_invocation_return_value(invocation, g_variant_new("(s)", text));
}

GVariant* on_get_property(GDBusConnection*, const gchar*, const gchar*, const gchar*, const gchar*,
                          GError**, gpointer) {
  return g_variant_new_string("99.0.0");
}

void on_bus(GDBusConnection* connection, const gchar*, gpointer) {
  static GDBusInterfaceVTable table{};
  table.method_call = on_method_call;
  table.get_property = on_get_property;
  GDBusNodeInfo* const node = g_dbus_node_info_new_for_xml(bus::introspection().c_str(), nullptr);
  g_dbus_connection_register_object(connection, bus::object_path, node->interfaces[0], &table,
                                    nullptr, nullptr, nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: other_version TEXT\n", stderr);
    return 2;
  }
  text = argv[1];
  g_bus_own_name(G_BUS_TYPE_SYSTEM, bus::name, G_BUS_NAME_OWNER_FLAGS_NONE, on_bus, nullptr,
                 nullptr, nullptr, nullptr);
  g_main_loop_run(g_main_loop_new(nullptr, FALSE));
  return 0;
}
