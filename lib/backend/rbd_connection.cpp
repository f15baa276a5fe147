// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/rbd_connection.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "lib/backend/rbd_keyring.h"
#include "lib/base/guarded_exit.h"
#include "lib/base/unique_fd.h"
#include "lib/base/values.h"

namespace ballast::backend {
namespace {

using config::quote;

template <class... Args>
Error error(int result, fmt::format_string<Args...> format, Args&&... args) {
  return Error{-result, fmt::format(format, std::forward<Args>(args)...)};
}

struct Setting {
  const char* name;
  const char* value;
};
constexpr std::array settings{
    Setting{"objecter_inflight_ops", "0"},    Setting{"objecter_inflight_op_bytes", "0"},
    Setting{"rados_osd_op_timeout", "0"},     Setting{"rados_mon_op_timeout", "10"},
    Setting{"client_mount_timeout", "10"},    Setting{"rbd_cache", "false"},
    Setting{"rbd_non_blocking_aio", "false"}, Setting{"librados_thread_count", "1"},
    Setting{"ms_async_op_threads", "1"},      Setting{"log_file", ""},
    Setting{"log_to_stderr", "false"},        Setting{"err_to_stderr", "false"},
    Setting{"log_to_syslog", "false"},        Setting{"err_to_syslog", "false"},
};

// A passphrase may contain any byte. One newline at the end belongs to the editor.
Result<std::string> read_passphrase(const std::string& path) {
  constexpr std::size_t longest = 8192;
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  std::array<char, longest> bytes;
  const ssize_t got = file ? ::read(file.get(), bytes.data(), bytes.size()) : -1;
  if (got < 0) {
    return error(-errno, "the passphrase file {} cannot be read: {}", path, std::strerror(errno));
  }
  std::string passphrase{bytes.data(), static_cast<std::size_t>(got)};
  if (passphrase.ends_with('\n')) {
    passphrase.pop_back();
  }
  if (passphrase.empty()) {
    return error(-EINVAL, "the passphrase file {} is empty: write the passphrase into it", path);
  }
  return passphrase;
}

}  // namespace

Result<std::unique_ptr<RbdConnection>> RbdConnection::open(const RbdConfig& config,
                                                           Purpose purpose) {
  if (const Result<void> keys = check_keys(config); !keys) {
    return keys.error();
  }
  Result<RbdName> names = parse_rbd_name("the image", config.image);
  if (!names) {
    return names.error();
  }
  const Result<const RbdLibrary*> library = rbd_library();
  if (!library) {
    return library.error();
  }
  std::unique_ptr<RbdConnection> connection{
      new RbdConnection{*library.value(), config, std::move(names).value()}};
  if (purpose == Purpose::use) {
    connection->socket_.emplace();
  }
  if (Result<void> connected = connection->connect(); !connected) {
    return connected.error();
  }
  if (Result<void> entered = connection->enter_pool(); !entered) {
    return entered.error();
  }
  if (Result<void> opened = connection->open_image(purpose); !opened) {
    return opened.error();
  }
  return connection;
}

RbdConnection::~RbdConnection() {
  if (image_ != nullptr) {
    (void)library_.rbd_close(image_);
  }
  if (pool_ != nullptr) {
    library_.rados_ioctx_destroy(pool_);
  }
  if (cluster_ != nullptr) {
    library_.rados_shutdown(cluster_);
  }
}

Result<void> RbdConnection::set(const char* name, const char* value) {
  const int result = library_.rados_conf_set(cluster_, name, value);
  return result == 0 ? Result<void>{}
                     : error(result, "{}: librados refuses {}={}: {}", name_, name, value,
                             std::strerror(-result));
}

Result<void> RbdConnection::set_up() {
  if (const int read = library_.rados_conf_read_file(cluster_, config_.conf.c_str()); read < 0) {
    return error(read,
                 "{}: the configuration of Ceph, {}, cannot be read: {}: correct it, or add "
                 ";conf=<path>",
                 name_, config_.conf, std::strerror(-read));
  }
  for (const Setting& setting : settings) {
    if (Result<void> is_set = set(setting.name, setting.value); !is_set) {
      return is_set;
    }
  }
  return set("admin_socket", admin_socket().c_str());
}

// Where librados looks for keys. A longer list than this is cut off.
std::string RbdConnection::keyrings() const {
  std::array<char, 4096> value{};
  const int got = library_.rados_conf_get(cluster_, "keyring", value.data(), value.size());
  return got == 0 ? value.data() : "";
}

Result<void> RbdConnection::connect() {
  const Result<std::string> id = config::parse_text("key id", config_.id);
  if (!id) {
    return id.error();
  }
  const int made = library_.rados_create(&cluster_, id.value().c_str());
  [[maybe_unused]] static const bool after_first_use = guard_exit();
  if (made < 0) {
    cluster_ = nullptr;
    return error(made, "{}: librados cannot be used as client.{}: {}", name_, id.value(),
                 std::strerror(-made));
  }
  if (Result<void> ready = set_up(); !ready) {
    return ready;
  }
  const int connected = library_.rados_connect(cluster_);
  [[maybe_unused]] static const bool after_first_encryption = guard_exit();
  if (connected == 0) {
    return {};
  }
  if (connected == -ETIMEDOUT) {
    return error(connected, "{}: no monitor of the cluster in {} answers client.{}", name_,
                 config_.conf, id.value());
  }
  if (const std::string trouble = keyring_trouble(keyrings(), id.value()); !trouble.empty()) {
    return error(connected, "{}: {}, or correct the keyring's path in {}", name_, trouble,
                 config_.conf);
  }
  switch (connected) {
    case -EACCES:
    case -EPERM:
      return error(connected,
                   "{}: the cluster does not accept client.{}: compare its keyring ({}) with "
                   "\"ceph auth get client.{}\"",
                   name_, id.value(), keyrings(), id.value());
    default:
      return error(connected,
                   "{}: client.{} cannot connect to the cluster in {} with its keyring ({}): {}",
                   name_, id.value(), config_.conf, keyrings(), std::strerror(-connected));
  }
}

Result<void> RbdConnection::enter_pool() {
  const int entered = library_.rados_ioctx_create(cluster_, names_.pool.c_str(), &pool_);
  if (entered < 0) {
    pool_ = nullptr;
    return entered == -ENOENT
               ? error(entered, "{}: the cluster has no pool {}", name_, quote(names_.pool))
               : error(entered, "{}: the pool {} cannot be used: {}", name_, quote(names_.pool),
                       std::strerror(-entered));
  }
  if (!names_.name_space.empty()) {
    bool exists = false;
    const int asked = library_.rbd_namespace_exists(pool_, names_.name_space.c_str(), &exists);
    if (asked < 0) {
      return error(asked, "{}: the namespace {} cannot be looked up: {}", name_,
                   quote(names_.name_space), std::strerror(-asked));
    }
    if (!exists) {
      return error(-ENOENT, "{}: the pool {} has no namespace {}", name_, quote(names_.pool),
                   quote(names_.name_space));
    }
    library_.rados_ioctx_set_namespace(pool_, names_.name_space.c_str());
  }
  // By default a full pool holds writes until there is room. With this they fail with ENOSPC.
  library_.rados_set_pool_full_try(pool_);
  return {};
}

Result<void> RbdConnection::open_image(Purpose purpose) {
  const bool changes = purpose == Purpose::use && !is_snapshot();
  const auto open = changes ? library_.rbd_open : library_.rbd_open_read_only;
  const int opened = open(pool_, names_.image.c_str(), &image_, nullptr);
  if (opened < 0) {
    image_ = nullptr;
    switch (opened) {
      case -ENOENT:
        return error(opened, "{}: there is no image {} in pool {}", name_, quote(names_.image),
                     quote(names_.pool));
      case -EPERM:
      case -EACCES:
        return error(opened,
                     "{}: client.{} may not use the image: give it mon \"profile rbd\" and osd "
                     "\"profile rbd pool={}\" (ceph auth caps)",
                     name_, config_.id, names_.pool);
      default:
        return error(opened, "{}: the image {} cannot be opened: {}", name_, quote(names_.image),
                     std::strerror(-opened));
    }
  }
  if (Result<void> readable = decrypt(); !readable) {
    return readable;
  }
  if (is_snapshot()) {
    const int set = library_.rbd_snap_set(image_, names_.snapshot.c_str());
    if (set < 0) {
      return set == -ENOENT ? error(set, "{}: the image {} has no snapshot {}", name_,
                                    quote(names_.image), quote(names_.snapshot))
                            : error(set, "{}: the snapshot {} cannot be used: {}", name_,
                                    quote(names_.snapshot), std::strerror(-set));
    }
  }
  return {};
}

Result<void> RbdConnection::decrypt() {
  if (config_.encryption == RbdEncryption::none) {
    return {};
  }
  const Result<std::string> passphrase = read_passphrase(config_.passphrase_file);
  if (!passphrase) {
    return Error{passphrase.error().errno_value,
                 fmt::format("{}: {}", name_, passphrase.error().message)};
  }
  rbd_encryption_luks2_format_options_t options{};
  options.passphrase = passphrase.value().data();
  options.passphrase_size = passphrase.value().size();
  const int loaded =
      library_.rbd_encryption_load(image_, RBD_ENCRYPTION_FORMAT_LUKS2, &options, sizeof options);
  if (loaded == -EPERM) {
    return error(-EACCES, "{}: the passphrase in {} does not open the image", name_,
                 config_.passphrase_file);
  }
  if (loaded < 0) {
    return error(loaded, "{}: the image is not encrypted with LUKS2, or its header is damaged: {}",
                 name_, std::strerror(-loaded));
  }
  return {};
}

}  // namespace ballast::backend
