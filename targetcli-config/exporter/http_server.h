// SPDX-License-Identifier: Apache-2.0
// A small HTTP server for pages that are made when they are asked for. The protocol is civetweb's.
//
// It takes GET and HEAD, one request a connection. A client has `client_limit` to send its request,
// and as long again to take each part of the answer; then it is thrown out. Each client has a
// thread of a fixed number; further ones wait in a bounded queue and then in the kernel's. There
// are many threads, since one that waits for a client costs next to nothing, and clients that only
// connect must not keep others from being answered.
#pragma once

#include <civetweb.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "lib/base/result.h"
#include "targetcli-config/exporter/address.h"

namespace ballast::exporter {

inline constexpr int server_threads = 128;
inline constexpr std::chrono::milliseconds client_limit{2000};

struct Answer {
  int status = 200;
  const char* type = "text/plain; charset=utf-8";
  std::string body;
};

class HttpServer {
 public:
  // Answers a request for `path`, without its query. Called on several threads at once.
  using Handler = std::function<Answer(std::string_view path)>;
  // The error says why nobody can listen there.
  static Result<std::unique_ptr<HttpServer>> start(const Address& address, Handler handler);
  ~HttpServer();  // waits for the answers that are under way
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Where it listens; the port is the one that the kernel has chosen.
  Address address() const;

 private:
  HttpServer(Address address, Handler handler);
  Answer answer(const mg_request_info& request) const noexcept;
  static int on_request(mg_connection* connection) noexcept;

  const Address wanted_;
  const Handler handler_;
  mg_context* context_ = nullptr;
};

}  // namespace ballast::exporter
