// SPDX-License-Identifier: Apache-2.0
#include "lib/watch/bus.h"

#include <fmt/format.h>

#include "lib/watch/report.h"

namespace ballast::watch::bus {

std::string introspection() {
  std::string xml = fmt::format("<node><interface name='{}'>", name);
  for (const report::Report& report : report::all()) {
    xml += fmt::format("<method name='{}'>{}<arg name='json' type='s' direction='out'/></method>",
                       report.method.name,
                       report.method.takes_lun ? "<arg name='lun' type='s' direction='in'/>" : "");
  }
  return xml +
         "<property name='Version' type='s' access='read'>"
         "<annotation name='org.freedesktop.DBus.Property.EmitsChangedSignal' value='const'/>"
         "</property></interface></node>";
}

}  // namespace ballast::watch::bus
