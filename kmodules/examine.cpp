// SPDX-License-Identifier: Apache-2.0
// The part of tcmu.h that looks at a running kernel.
#include <fcntl.h>
#include <fmt/format.h>
#include <gio/gio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

#include "kmodules/tcmu.h"
#include "lib/base/unique_fd.h"
#include "lib/watch/bus.h"

namespace ballast::kmod {
namespace {

namespace fs = std::filesystem;

// The plugin answers within 2 s, unless the daemon's main thread is busy with something else.
constexpr int patience_ms = 5000;

std::string first_line(const fs::path& path) {
  std::ifstream file{path};
  std::string line;
  std::getline(file, line);
  return line;
}

// configfs takes one value in one write(2).
Result<void> write_value(const fs::path& path, std::string_view value) {
  const UniqueFd file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
  if (file.get() < 0 ||
      ::write(file.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
    const int reason = errno;
    return Error{reason, fmt::format("{} does not take {}: {}", path.string(), value,
                                     std::strerror(reason))};
  }
  return {};
}

std::vector<fs::path> children(const fs::path& directory) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator at{directory, error}, end; !error && at != end; at.increment(error)) {
    found.push_back(at->path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

bool is_user_hba(const fs::path& path) {
  return path.filename().string().starts_with("user_");
}

// Returns the folder of an existing user backstore; empty if there is none.
fs::path existing_backstore(const fs::path& core) {
  for (const fs::path& hba : children(core)) {
    if (!is_user_hba(hba)) {
      continue;
    }
    for (const fs::path& backstore : children(hba)) {
      if (fs::is_directory(backstore / "attrib")) {
        return backstore;
      }
    }
  }
  return {};
}

// A user backstore that this process makes. The destructor removes it.
class Probe {
 public:
  static Result<Probe> make(const fs::path& core) {
    // Far above the numbers that rtslib gives, so that no operator loses a name to the probe.
    constexpr unsigned first = 4242, tries = 16;
    int reason = EEXIST;
    for (unsigned number = first; number < first + tries; ++number) {
      const fs::path hba = core / fmt::format("user_{}", number);
      if (::mkdir(hba.c_str(), 0755) != 0) {
        reason = errno;
        if (reason == EEXIST) {
          continue;
        }
        break;
      }
      const fs::path backstore = hba / "ballast_kmod";
      if (::mkdir(backstore.c_str(), 0755) == 0) {
        return Probe{hba, backstore, number};
      }
      reason = errno;
      ::rmdir(hba.c_str());
      break;
    }
    return Error{reason, fmt::format("cannot create a probe under {}: {}", core.string(),
                                     std::strerror(reason))};
  }
  Probe(Probe&& other) noexcept
      : hba_{std::exchange(other.hba_, {})},
        backstore_{std::exchange(other.backstore_, {})},
        number_{other.number_} {}
  Probe& operator=(Probe&&) = delete;
  ~Probe() {
    if (!hba_.empty()) {
      ::rmdir(backstore_.c_str());
      ::rmdir(hba_.c_str());
    }
  }
  const fs::path& backstore() const { return backstore_; }

  // Makes the backstore a real LUN with a ring, of no use for data. Returns its name in
  // /sys/class/uio.
  Result<std::string> enable() const {
    struct Step {
      const char* file;
      const char* value;
    };
    constexpr std::array steps{
        // No handler will answer, so the kernel must not wait for one.
        Step{"attrib/nl_reply_supported", "-1"},
        Step{"control", "max_data_area_mb=1"},
        Step{"control", "dev_config=ballast-kmod/probe"},
        Step{"control", "dev_size=1048576"},
        Step{"enable", "1"},
    };
    for (const Step& step : steps) {
      if (const Result<void> done = write_value(backstore_ / step.file, step.value); !done) {
        return done.error();
      }
    }
    return fmt::format("tcm-user/{}/ballast_kmod/ballast-kmod/probe", number_);
  }

 private:
  Probe(fs::path hba, fs::path backstore, unsigned number)
      : hba_{std::move(hba)}, backstore_{std::move(backstore)}, number_{number} {}
  fs::path hba_, backstore_;
  unsigned number_;
};

void read_attributes(const fs::path& backstore, Tcmu& tcmu) {
  for (const fs::path& attribute : children(backstore / "attrib")) {
    tcmu.attributes[attribute.filename().string()] = first_line(attribute);
  }
  for (const fs::path& action : children(backstore / "action")) {
    tcmu.actions.push_back(action.filename().string());
  }
}

// Returns the id of a process with that name; 0 if there is none.
int find_process(const Roots& roots, std::string_view name) {
  for (const fs::path& entry : children(roots.proc)) {
    if (first_line(entry / "comm") == name) {
      return std::stoi(entry.filename().string());
    }
  }
  return 0;
}

// Asks the plugin for the mailbox of a ring that tcmu-runner has mapped. Returns false if no plugin
// answers, or if Ballast has no LUN.
bool ask_plugin(Tcmu& tcmu) {
  namespace bus = watch::bus;
  g_autoptr(GDBusConnection) connection = g_bus_get_sync(G_BUS_TYPE_SYSTEM, nullptr, nullptr);
  if (connection == nullptr) {
    return false;
  }
  g_dbus_connection_set_exit_on_close(connection, FALSE);
  g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
      connection, bus::name, bus::object_path, bus::name, bus::list.name, nullptr,
      G_VARIANT_TYPE("(s)"), G_DBUS_CALL_FLAGS_NO_AUTO_START, patience_ms, nullptr, nullptr);
  if (reply == nullptr) {
    return false;
  }
  const gchar* report = nullptr;
  g_variant_get(reply, "(&s)", &report);
  tcmu.mailbox = parse_list(report);
  tcmu.mailbox_from = "mailbox of a LUN, told by the plugin in tcmu-runner";
  return tcmu.mailbox.has_value();
}

// Reads the mailbox of a LUN that no process has open. `name`: as in /sys/class/uio/*/name; "" for
// any LUN of TCMU.
Result<void> read_idle_mailbox(const Roots& roots, std::string_view name, Tcmu& tcmu) {
  Error error{ENOENT, "no LUN has a ring that could be read"};
  for (const fs::path& uio : children(roots.sysfs + "/class/uio")) {
    const std::string found = first_line(uio / "name");
    if (name.empty() ? !found.starts_with("tcm-user/") : found != name) {
      continue;
    }
    const std::string device = uio.filename().string();
    const std::string size_text = first_line(uio / "maps/map0/size");
    std::size_t size = 0;
    if (size_text.starts_with("0x")) {
      std::from_chars(size_text.data() + 2, size_text.data() + size_text.size(), size, 16);
    }
    const std::string path = roots.dev + "/" + device;
    const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    // The kernel maps the whole ring or nothing.
    void* const map = file.get() < 0 || size < mailbox_bytes
                          ? MAP_FAILED
                          : ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
    if (map == MAP_FAILED) {
      error = Error{errno, fmt::format("{}: {}", path, std::strerror(errno))};
      continue;
    }
    const Result<Mailbox> mailbox =
        parse_mailbox(std::span{static_cast<const std::byte*>(map), mailbox_bytes});
    ::munmap(map, size);
    if (!mailbox) {
      return mailbox.error();
    }
    tcmu.mailbox = mailbox.value();
    tcmu.mailbox_from = fmt::format("mailbox of {}", device);
    return {};
  }
  return error;
}

void probe_mailbox(const Roots& roots, const Probe& probe, Tcmu& tcmu) {
  if (const int daemon = find_process(roots, "tcmu-runner"); daemon != 0) {
    tcmu.mailbox_from = fmt::format(
        "not read: no LUN exists, and no probe is made while tcmu-runner (pid {}) would see it",
        daemon);
    return;
  }
  const Result<std::string> name = probe.enable();
  if (!name) {
    tcmu.mailbox_from = "not read: " + name.error().message;
    return;
  }
  // devtmpfs makes the device node on a thread of its own, so it may come late.
  Result<void> read = Error{ENOENT, ""};
  for (int round = 0; round < 50; ++round) {
    read = read_idle_mailbox(roots, name.value(), tcmu);
    if (read) {
      tcmu.mailbox_from = "mailbox of a probe";
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
  tcmu.mailbox_from = "not read: " + read.error().message;
}

}  // namespace

Result<Tcmu> examine(const Roots& roots, bool probe) {
  const fs::path core = fs::path{roots.configfs} / "target" / "core";
  if (!fs::is_directory(fs::path{roots.sysfs} / "module/target_core_user")) {
    return Error{ENOENT, "target_core_user is not loaded"};
  }
  if (!fs::is_directory(core)) {
    return Error{ENOENT, fmt::format("{} does not exist: is configfs mounted?", core.string())};
  }
  if (::geteuid() != 0) {
    return Error{EPERM, "TCMU's attributes and mailboxes are root's to read"};
  }
  Tcmu tcmu;
  for (const fs::path& parameter :
       children(fs::path{roots.sysfs} / "module/target_core_user/parameters")) {
    if (const std::string value = first_line(parameter); !value.empty()) {
      tcmu.parameters[parameter.filename().string()] = value;
    }
  }
  if (!ask_plugin(tcmu)) {
    if (const Result<void> idle = read_idle_mailbox(roots, "", tcmu); !idle) {
      tcmu.mailbox_from = fmt::format("not read: {}", idle.error().message);
    }
  }
  if (const fs::path backstore = existing_backstore(core); !backstore.empty()) {
    tcmu.attributes_from = fmt::format("{}/{}", backstore.parent_path().filename().string(),
                                       backstore.filename().string());
    read_attributes(backstore, tcmu);
    return tcmu;
  }
  const Result<Probe> own = Probe::make(core);
  if (!own) {
    return own.error();
  }
  tcmu.attributes_from = "defaults, of a probe that was removed again";
  read_attributes(own.value().backstore(), tcmu);
  if (probe && !tcmu.mailbox) {
    probe_mailbox(roots, own.value(), tcmu);
  }
  return tcmu;
}

}  // namespace ballast::kmod
