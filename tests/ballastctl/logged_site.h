// SPDX-License-Identifier: Apache-2.0
// A store with a write log in front of it, both in real files, made as a LUN makes them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/backend/file_label.h"
#include "lib/write_log/create.h"
#include "lib/write_log/write_log.h"
#include "tests/unit/backend/lab.h"

namespace ballast::test {

using namespace ballast::write_log;

// A store and a log in files. A label needs extended attributes, a log O_DIRECT.
class LoggedSite {
 public:
  static constexpr Bytes lun{8 << 20};
  static constexpr std::uint32_t block = 512;
  static constexpr Bytes log_size{ring_begin + fewest_segments * segment_bytes};

  // On a device instead of a file, if one is given.
  explicit LoggedSite(std::string device = {})
      : folder_{"/var/tmp"}, device_path_{std::move(device)} {}

  std::string log() const { return folder_.file("vol.log"); }
  std::string store() const {
    return device_path_.empty() ? folder_.file("vol.raw") : device_path_;
  }
  std::string file(const char* name) const { return folder_.file(name); }
  std::string both() const { return log() + " " + store(); }

  backend::Label label() const { return backend::read_label(store(), lun).value().value(); }

  // Makes a log as a LUN does.
  void make(std::uint8_t id = 1) {
    label_ = {.store = {id},
              .log = {static_cast<std::uint8_t>(id + 100)},
              .owner = 3,
              .host = "gw1",
              .path = log()};
    open();
    const NewLog wanted{
        .log = label_.log, .identity = identity(), .host = "gw1", .store_name = "file=" + store()};
    const Result<void> made = lab_.run(create(*device_, wanted));
    BALLAST_ASSERT(made.ok());
    const Result<void> labelled = lab_.run(store_->write_label(label_));
    BALLAST_ASSERT(labelled.ok());
    close();
  }
  // Opens the log. The store refuses writes, so the log keeps what comes.
  void open_log() {
    std::ofstream{file("faults")} << "write,zero error=not_ready\n";
    open(file("faults"));
    WriteLog::Options options;
    options.identity = identity();
    options.host = "gw1";
    options.store_name = "file=" + store();
    log_ = lab_.run(WriteLog::open(*device_, *store_, options)).value();
  }
  void close_log() {
    lab_.run(log_->close());
    log_.reset();
    close();
  }
  void append(Kind kind, std::uint64_t lba, std::vector<std::byte> data, std::uint64_t blocks) {
    const iovec segment{data.data(), data.size()};
    const Change change{.kind = kind,
                        .lba = Lba{lba},
                        .blocks = BlockCount{blocks},
                        .data = io::SgView{std::span{&segment, 1}}};
    BALLAST_ASSERT(ok(lab_.run(log_->append(change, Until::durable))));
  }
  // The data of a few ranges, the newest over older ones, and zeros.
  void fill() {
    write(0, 16, 'a');
    write(8, 16, 'b');
    write(1000, 2048, 'c');
    write(4000, 8, 'd');
    append(Kind::zero, 1010, {}, 20);
    std::ranges::fill(image_.begin() + 1010 * block, image_.begin() + 1030 * block, '\0');
  }
  void write(std::uint64_t lba, std::uint64_t blocks, char byte) {
    append(Kind::data, lba, std::vector<std::byte>(blocks * block, std::byte(byte)), blocks);
    std::ranges::fill(image_.begin() + static_cast<std::ptrdiff_t>(lba * block),
                      image_.begin() + static_cast<std::ptrdiff_t>((lba + blocks) * block), byte);
  }
  const std::string& image() const { return image_; }

  // A log that has something.
  void make_filled() {
    make();
    open_log();
    fill();
    close_log();
  }

 private:
  Identity identity() const {
    return {.log = label_.log,
            .store = label_.store,
            .owner = label_.owner,
            .lun = lun,
            .block = block,
            .size = {}};
  }
  std::unique_ptr<backend::Backend> open(const std::string& path, Bytes size, Bytes unit,
                                         backend::CacheMode cache, const std::string& faults) {
    backend::StoreOrder order;
    order.config = store_config(file_config(path, cache));
    order.config.fault_control = faults;
    order.size = size;
    order.logical_block = unit;
    order.has_log = true;
    const auto source = backend::open(order, lab_.context(size, unit)).value();
    BALLAST_ASSERT(source->wait(std::chrono::minutes{10}) == backend::StoreSource::State::opened);
    return source->take().backend;
  }
  void open(const std::string& faults = {}) {
    store_ = open(store(), lun, Bytes{block}, backend::CacheMode::buffered, faults);
    device_ = open(log(), log_size, Bytes{page}, backend::CacheMode::direct, {});
  }
  void close() {
    lab_.run(store_->close());
    lab_.run(device_->close());
    store_.reset();
    device_.reset();
  }

  Folder folder_;
  const std::string device_path_;
  Lab lab_;
  backend::Label label_;
  std::unique_ptr<backend::Backend> store_;
  std::unique_ptr<backend::Backend> device_;
  std::unique_ptr<WriteLog> log_;
  std::string image_ = std::string(lun.value(), '\0');
};

}  // namespace ballast::test
