// SPDX-License-Identifier: Apache-2.0
#include "lib/watch/bus.h"

#include <fmt/format.h>

#include "lib/watch/report.h"

namespace ballast::watch::bus {

namespace {

std::string in_xml(const Method& method, const char* answer) {
  return fmt::format("<method name='{}'>{}<arg name='{}' type='s' direction='out'/></method>",
                     method.name,
                     method.takes_lun ? "<arg name='lun' type='s' direction='in'/>" : "", answer);
}

}  // namespace

std::string introspection() {
  std::string xml = fmt::format("<node><interface name='{}'>", name);
  for (const report::Report& report : report::all()) {
    xml += in_xml(report.method, "json");
  }
  for (const Method& wish : {hurry_log, let_log_go}) {
    xml += in_xml(wish, "json");
  }
  for (const Method& action : {activate, stand_by}) {
    xml += in_xml(action, "nothing");
  }
  for (const Signal& signal : {stalled, recovered}) {
    xml += fmt::format(
        "<signal name='{}'><arg name='lun' type='s'/><arg name='json' type='s'/></signal>",
        signal.name);
  }
  return xml +
         "<property name='Version' type='s' access='read'>"
         "<annotation name='org.freedesktop.DBus.Property.EmitsChangedSignal' value='const'/>"
         "</property></interface></node>";
}

}  // namespace ballast::watch::bus
