// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/log/store_label.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/backend/file_label.h"
#include "lib/backend/file_take.h"
#include "lib/backend/rbd_config.h"
#include "lib/backend/rbd_connection.h"
#include "lib/backend/rbd_label.h"
#include "lib/backend/rbd_lock.h"
#include "lib/backend/store_record.h"
#include "lib/base/keys.h"
#include "lib/base/values.h"
#include "targetcli-config/ballastctl/log/paths.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {
namespace {

using backend::Label;
using backend::RbdConnection;

constexpr std::string_view image_prefix = "rbd=";

// --- a file or a device --------------------------------------------------------------------------

backend::Taken take_path(const std::string& path) {
  const bool device = is_block_device(path);
  const backend::FileConfig config{
      .path = path, .cache = device ? backend::CacheMode::direct : backend::CacheMode::buffered};
  backend::Expected there;
  there.creation = backend::Creation::saved;
  return or_fail(backend::take_store(config, Bytes{}, there));
}

class PathLabel final : public StoreLabel {
 public:
  PathLabel(std::string path, Bytes lun)
      : path_{std::move(path)},
        taken_{take_path(path_)},
        file_{.fd = taken_.fd.get(),
              .block_device = taken_.block_device,
              .path = path_,
              .lun = {.now = lun, .reach = taken_.block_device ? reach() : Bytes{}}} {
    if (taken_.block_device && !or_fail(backend::has_label_behind_lun(file_))) {
      fail(
          fmt::format("there is no label of a write log behind the first {} of {}: check --size, "
                      "and give the size that the LUN has in targetcli; nothing was changed",
                      config::format_bytes(lun), path_));
    }
  }

  std::string name() const override { return "file=" + path_; }
  Result<std::optional<Label>> read() override { return backend::read_label(file_); }
  Result<void> write(const Label& label) override { return backend::write_label(file_, label); }

 private:
  // The LUN may have been larger than it is now.
  Bytes reach() const {
    const backend::StoreRecords records{backend::StoreRecords::default_folder};
    const auto record = records.find(path_);
    const bool same = record.ok() && record.value().has_value() &&
                      !is_another(record.value()->identity, taken_.identity);
    return same ? record.value()->reach : Bytes{};
  }

  const std::string path_;
  const backend::Taken taken_;
  const backend::LabelledFile file_;
};

// --- an image in Ceph ----------------------------------------------------------------------------

// "rbd=pool/image;id=ballast", as in a configuration string. Other keys of a LUN are left out.
backend::RbdConfig parse_image(std::string_view text) {
  backend::RbdConfig config;
  const config::Keys keys = keys_of(config);
  text.remove_prefix(image_prefix.size());
  const auto assign = [](const config::Key& key, const std::string& what, std::string_view value) {
    if (const Result<void> assigned = config::assign(key, what, value); !assigned.ok()) {
      throw CLI::ValidationError{assigned.error().message};
    }
  };
  const std::vector<std::string_view> parts = config::split(text, ';');
  assign(target_of(config), "the image", parts.front());
  for (const std::string_view part : std::span{parts}.subspan(1)) {
    const std::string_view name = part.substr(0, part.find('='));
    if (const config::Key* const key = config::find(keys, name); key != nullptr) {
      assign(*key, fmt::format("key {}", name),
             part.substr(std::min(name.size() + 1, part.size())));
    }
  }
  config.lock = backend::RbdLock::exclusive;
  return config;
}

class ImageLabel final : public StoreLabel {
 public:
  explicit ImageLabel(const std::string& store)
      : connection_{or_fail(RbdConnection::open(parse_image(store), RbdConnection::Purpose::use))} {
    if (connection_->is_snapshot()) {
      fail(fmt::format("{} is a snapshot, which has no label: give the image", name()));
    }
    address_ =
        or_fail(backend::take_ownership(*connection_, backend::RbdOwnership::Manner::spares, {}));
  }
  ~ImageLabel() override {
    if (!address_.empty()) {
      backend::end_ownership(*connection_);
    }
  }

  std::string name() const override { return connection_->name(); }
  Result<std::optional<Label>> read() override {
    constexpr bool whoever_asks = true;
    return backend::read_label(*connection_, whoever_asks);
  }
  Result<void> write(const Label& label) override {
    return backend::write_label(*connection_, address_, label);
  }

 private:
  const std::unique_ptr<RbdConnection> connection_;
  std::string address_;
};

}  // namespace

bool is_image(const std::string& store) {
  return store.starts_with(image_prefix);
}

std::unique_ptr<StoreLabel> StoreLabel::take(const std::string& store, Bytes lun) {
  if (is_image(store)) {
    return std::make_unique<ImageLabel>(store);
  }
  return std::make_unique<PathLabel>(path_of(store), lun);
}

}  // namespace ballast::ctl
